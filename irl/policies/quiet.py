"""Keep the libraries' chatter off stderr."""

import warnings

import transformers


def quiet_libraries() -> None:
    """Leave stderr to our own sentences: refusals say what the libraries' warnings would."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="(transformers|peft)")
