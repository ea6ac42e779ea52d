"""Keep the libraries' chatter off stderr and stdout."""

import warnings

import transformers


def silence_trainer(trainer: transformers.Trainer) -> None:
    """Keep a trainer's own figures off stdout, where a command's `--json` goes."""
    trainer.remove_callback(transformers.PrinterCallback)


def quiet_libraries() -> None:
    """Leave stderr to our own sentences: refusals say what the libraries' warnings would."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="(transformers|peft)")
