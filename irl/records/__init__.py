"""Plain results: these models are the schemas of the files that runs write. No torch."""

from irl.records.align import AlignReport, AlignStep
from irl.records.aspects import AspectsReport
from irl.records.attribution import AttributionMethod, AttributionReport, RankAgreement
from irl.records.audit import (
    Accuracy,
    Aspect,
    AspectResidual,
    AspectStatus,
    AuditReport,
    ChangedTerm,
    Drift,
    Fit,
    GateRow,
    Identifiability,
    MethodDistance,
    NullDirection,
    Objective,
    Pair,
    PositionKL,
    PromptCondition,
    PromptKL,
    Recovery,
    Term,
    TokenMove,
    Verdict,
)
from irl.records.base import Caveat, Checkpoint, Estimate, Record
from irl.records.best_of_n import BestOfNReport, BestPoint, FittedForm
from irl.records.concepts import ConceptLimits, ConceptScore, ConceptsReport
from irl.records.contexts import ContextPrice, Contexts
from irl.records.contraction import Contraction
from irl.records.ensemble import (
    Abstention,
    Disagreement,
    EnsembleReport,
    PairFigures,
    ReliabilityBin,
)
from irl.records.explanations import Explanations
from irl.records.extrapolation import ExtrapolationReport, PathPoint
from irl.records.judging import JudgingReport
from irl.records.one_token import LeftOut, OneTokenAnswer, OneTokenReport
from irl.records.organisms import Truth, TruthTerm
from irl.records.parity import Differences, ParityProbe, ParityRecord
from irl.records.probes import (
    FeatureRates,
    Flip,
    FlipSearch,
    ProbeFinding,
    ProbeLimits,
    ProbesReport,
    TriggerFinding,
    TriggerSearch,
    TwoByTwoFinding,
)
from irl.records.prompts import (
    ChoiceFigures,
    OutcomeFigures,
    PromptsReport,
    PromptSummary,
    RedTeamPair,
)
from irl.records.recovery import RecoveryReport, SeedFit, WordsVerdict
from irl.records.results import ResultRow, ResultTable
from irl.records.reward_bench import BenchSubset, RewardBenchReport, TiesScore
from irl.records.runs import Check, Manifest
from irl.records.segments import SegmentGroup, SegmentsReport
from irl.records.series import SeriesCheckpoint, SeriesReport, SeriesRow
from irl.records.true_reward import TruthAgreement
from irl.records.trust import (
    Detector,
    Lamp,
    Signal,
    TriageCounts,
    TrustGroup,
    TrustMeasures,
    TrustReport,
)

__all__ = [
    "Abstention",
    "Accuracy",
    "AlignReport",
    "AlignStep",
    "Aspect",
    "AspectResidual",
    "AspectStatus",
    "AspectsReport",
    "AttributionMethod",
    "AttributionReport",
    "AuditReport",
    "BenchSubset",
    "BestOfNReport",
    "BestPoint",
    "Caveat",
    "ChangedTerm",
    "Check",
    "Checkpoint",
    "ChoiceFigures",
    "ConceptLimits",
    "ConceptScore",
    "ConceptsReport",
    "ContextPrice",
    "Contexts",
    "Contraction",
    "Detector",
    "Differences",
    "Disagreement",
    "Drift",
    "EnsembleReport",
    "Estimate",
    "Explanations",
    "ExtrapolationReport",
    "FeatureRates",
    "Fit",
    "FittedForm",
    "Flip",
    "FlipSearch",
    "GateRow",
    "Identifiability",
    "JudgingReport",
    "Lamp",
    "LeftOut",
    "Manifest",
    "MethodDistance",
    "NullDirection",
    "Objective",
    "OneTokenAnswer",
    "OneTokenReport",
    "OutcomeFigures",
    "Pair",
    "PairFigures",
    "ParityProbe",
    "ParityRecord",
    "PathPoint",
    "PositionKL",
    "ProbeFinding",
    "ProbeLimits",
    "ProbesReport",
    "PromptCondition",
    "PromptKL",
    "PromptSummary",
    "PromptsReport",
    "RankAgreement",
    "Record",
    "Recovery",
    "RecoveryReport",
    "RedTeamPair",
    "ReliabilityBin",
    "ResultRow",
    "ResultTable",
    "RewardBenchReport",
    "SeedFit",
    "SegmentGroup",
    "SegmentsReport",
    "SeriesCheckpoint",
    "SeriesReport",
    "SeriesRow",
    "Signal",
    "Term",
    "TiesScore",
    "TokenMove",
    "TriageCounts",
    "TriggerFinding",
    "TriggerSearch",
    "TrustGroup",
    "TrustMeasures",
    "TrustReport",
    "Truth",
    "TruthAgreement",
    "TruthTerm",
    "TwoByTwoFinding",
    "Verdict",
    "WordsVerdict",
]
