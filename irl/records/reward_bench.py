"""rewardbench.json: what `irl rewardbench` writes beside the files of RewardBench's own formats."""

from irl.records.base import Estimate, Record


class BenchSubset(Record):
    """One subset, or one section of several."""

    name: str
    accuracy: Estimate | None
    "of several right answers each counts; best-of-n where there are several wrong ones"
    ties: int
    "rows in which a right and a wrong answer score the same; they count the share of the tie"


class TiesScore(Record):
    """RewardBench 2's subset Ties: several answers are right."""

    score: Estimate | None
    ".3 and .3 accuracy on tied and reference prompts, .2 and .2 margins, .01 their size"
    accuracy_tied: float
    accuracy_reference: float
    margins: float
    "share of prompts whose right answers lie closer together than to the wrong ones"
    margins_hard: float
    "the same with the margin of the reference prompt, if that is smaller"
    without_a_partner: int
    "rows whose id is neither `tied:K` nor `ref:K` with the other beside it; they count nowhere"


class RewardBenchReport(Record):
    """rewardbench.json."""

    model: str
    source: str
    rows: int
    benchmark: str | None
    "allenai/reward-bench or reward-bench-2 where the data has exactly its subsets"
    chat_template: bool
    "whether prompts were rendered as chats"
    score: BenchSubset | None
    "the benchmark's own: mean of its sections (1), or of its six subsets (2)"
    overall: BenchSubset
    "mean over rows; the subset Ties has a score of its own and is left out"
    subsets: list[BenchSubset]
    sections: list[BenchSubset]
    "of RewardBench 1, where all their subsets are there"
    ties_score: TiesScore | None
    refused_rows: int
