"""Prompts, preferences and samples in; every row that cannot be used is refused with a reason."""

from irl.data.preferences import LabelledResponse, read_preferences
from irl.data.prompts import (
    Messages,
    Prompt,
    PromptRow,
    fold_of,
    prompt_id,
    read_prompts,
    stored_prompt,
)
from irl.data.rows import RefusedRow, Table
from irl.data.samples import SampleRow, read_samples

__all__ = [
    "LabelledResponse",
    "Messages",
    "Prompt",
    "PromptRow",
    "RefusedRow",
    "SampleRow",
    "Table",
    "fold_of",
    "prompt_id",
    "read_preferences",
    "read_prompts",
    "read_samples",
    "stored_prompt",
]
