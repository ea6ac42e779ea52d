"""What `irl audit --full` explains beside the audit: the records of the single commands."""

from irl.records.attribution import AttributionReport
from irl.records.base import Record
from irl.records.concepts import ConceptsReport
from irl.records.one_token import OneTokenReport
from irl.records.probes import ProbesReport
from irl.records.segments import SegmentsReport
from irl.records.trust import TrustReport


class Explanations(Record):
    """Each as its own command writes it; None where the pair does not allow it."""

    attribution: AttributionReport | None
    concepts: ConceptsReport | None
    probes: ProbesReport | None
    segments: SegmentsReport | None
    one_token: OneTokenReport | None
    trust: TrustReport | None = None
    "may the audit's reward be believed on its aligned policy; reports made before have none"
