"""What more prompts tell of the paid terms' weights."""

from irl.records.base import Estimate, Record


class Contraction(Record):
    """The posterior of the weights from the answers to so many prompts, as in identifiability."""

    prompts: int
    "in each part of the run that was taken by itself; 0: what is assumed before any answer"
    parts: int
    weights: int
    trace: float
    "total variance of the weights, squared nats, mean over the parts"
    trace_low: float
    "of the part that leaves least open"
    trace_high: float
    log_det: float
    "mean over the parts"
    coin_trace: float
    "of the same answers, each pair's authors told by a coin: it contracts just as well"
    covered: Estimate | None
    "share of the 95 % intervals that hold what the other prompts say; n counts weights"
    truth_covered: Estimate | None
    "share of those that hold the planted weight, where it is known"
