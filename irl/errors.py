"""The error tree: every error says what was given, what was expected and what to do.

IrlError                    anything this project refuses
├── InputError (ValueError)     a file, column, setting or argument that cannot be used
├── PolicyError (ValueError)    a checkpoint or a pair of checkpoints that cannot be scored
├── ServerError                 a served policy that does not answer, or not what it was asked
└── RunError (OSError)          a run folder that cannot be read or written

The command line turns each of them into one sentence on stderr and exit code 2.
"""


class IrlError(Exception):
    """Base of every error that this project raises on purpose."""


class InputError(IrlError, ValueError):
    """A file, column, setting or argument that cannot be used."""


class PolicyError(IrlError, ValueError):
    """A checkpoint, or a pair of checkpoints, that cannot be scored."""


class ServerError(IrlError):
    """A served policy that does not answer, or not what it was asked; the same command goes on."""


class RunError(IrlError, OSError):
    """A run folder that cannot be read or written."""


def first_line(error: BaseException) -> str:
    """What a library's error says in one line."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
