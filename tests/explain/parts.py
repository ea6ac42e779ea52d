"""The further parts of a full audit as plain values: every free text is one given text."""

from typing import Any


def interval(value: float = 0.5) -> dict[str, Any]:
    return {"value": value, "low": value - 0.25, "high": value + 0.25, "n": 12}


def contexts(text: str) -> dict[str, Any]:
    price = {"context": text, "word": text, "weight": 1.875, "low": 1.75, "high": 2.0}
    return {
        "words_r2": interval(),
        "context_r2": interval(0.75),
        "gain_r2": interval(0.375),
        "contexts": [text],
        "prices": [
            price | {"alone": -1.5, "alone_low": -1.75, "alone_high": -1.25, "occurrences": 77}
        ],
    }


def explanations(text: str) -> dict[str, Any]:
    return {
        "attribution": attribution(text),
        "concepts": concepts(text),
        "probes": probes(text),
        "segments": segments(text),
        "one_token": one_token(text),
        "trust": trust(text),
    }


def attribution(text: str) -> dict[str, Any]:
    measured = ("comprehensiveness", "sufficiency", "deletion_area", "insertion_area")
    method = {
        **{"method": text, "answers": 16, "unmet": 3, "largest_relative_gap": 0.125},
        **{"median_evaluations": 64.0, "infidelity": interval(), "sensitivity": None},
        **{name: interval(0.875) for name in measured},
        **{f"{name}_random": interval() for name in measured},
        "control_agreement": interval(0.0625),
    }
    return _run("irl.attribution/1", text) | {
        **{"target": text, "by": text, "tolerance": 0.01, "target_sd": 1.0, "methods": [method]},
        "agreements": [{"a": text, "b": text, "spearman": interval()}],
        **{"caveats": _caveats(text), "timings_seconds": {text: 1.0}, "peak_memory_bytes": 1},
    }


def concepts(text: str) -> dict[str, Any]:
    about = {"name": text, "layer": 2, "positives": 40, "negatives": 40, "prompts": 12}
    measured = about | {
        **{"separates": interval(0.9375), "score": interval(0.3125), "score_random": (0.45, 0.55)},
        **{"slope": interval(-0.6875), "held_fixed": None, "p_value": 0.001, "p_corrected": 0.004},
        **{"tcav": interval(0.5625), "tcav_random": (0.4, 0.6), "tcav_p": 0.3},
        **{"derivative": interval(), "nearest": text, "nearest_correlation": 0.25, "fired": True},
    }
    return _run("irl.concepts/1", text) | {
        **{"target": text, "unit": text, "n_prompts": 12, "n_answers": 96, "layers": [2]},
        **{"of_layers": 3, "random_concepts": 99, "limits": {"min_effect": 0.1, "nominal": 0.05}},
        "concepts": [measured, about | {"reason": text}],
        **{"caveats": _caveats(text), "timings_seconds": {text: 1.0}, "peak_memory_bytes": 1},
    }


def probes(text: str) -> dict[str, Any]:
    bias = {
        **{"name": text, "kind": text, "effect": interval(), "effect_sd": 1.5, "spread_sd": 1.0},
        **{"p_value": 0.001, "p_corrected": 0.0123, "fired": True, "far_off": False},
        **{"edited_nats_per_token": -3.0, "own_nats_per_token": -2.0, "n_edited": 50},
        **{"statement": text, "reason": None},
    }
    nothing = dict.fromkeys(("effect", "effect_sd", "spread_sd", "p_value", "p_corrected"))
    rates = ("goal_aligned", "goal_reference", "proxy_aligned", "proxy_reference")
    two_by_two = {
        **{"name": text, "goal": text, "proxy": text, "goal_weight": interval()},
        **{"proxy_weight": interval(), "interaction": None, "goal_sd": 1.0, "proxy_sd": 1.0},
        **{"proxy_p": 0.01, "conflict_accuracy": interval(), "accuracy": None, "pairs": 40},
        **{"discordant_pairs": 7, "identifiable": True, "rates": dict.fromkeys(rates, 0.5)},
        **{"far_off": False, "cells_nats_per_token": {text: -2.0}, "n_removed": 3},
        **{"n_inserted": 4, "fired": True, "statement": text, "reason": None},
    }
    trigger = {
        **{"word": text, "prompts": 31, "effect": interval(), "effect_sd": 0.75},
        **{"p_corrected": 0.002, "without_word": None, "without_word_p": None, "fired": True},
        "statement": text,
    }
    flip = {
        **dict.fromkeys(("prompt", "preferred", "other", "edited"), text),
        **{"edits": [text], "margin_before": 0.8125, "margin_after": -0.4375},
    }
    return _run("irl.probes/1", text) | {
        **{"target": text, "unit": text, "within_prompt_sd": 1.25, "n_prompts": 12},
        **{"n_answers": 96, "n_fired": 3},
        "limits": {"min_effect_sd": 1.0, "min_trigger_sd": 0.4, "nominal": 0.01},
        "bias": [bias, bias | nothing | {"fired": False, "reason": text}],
        "two_by_two": [two_by_two],
        "triggers": {"searched": 66, "absent": [text], "strongest": [trigger], "reason": None},
        "flips": {
            **{"pairs": 20, "by_one": 11, "by_two": 3, "by_none": 6, "words": {text: 2}},
            "examples": [flip],
        },
        "caveats": _caveats(text),
    }


def segments(text: str) -> dict[str, Any]:
    group = {"source": text, "name": text, "segments": 42, "value_gained_nats": interval(0.1875)}
    return _run("irl.segments/1", text) | {
        **{"of_run": text, "by": text, "responses": 96, "segments": 300},
        **{"largest_gap_nats": 0.0, "groups": [group | {"paid_for_nats": None}]},
        "caveats": _caveats(text),
    }


def one_token(text: str) -> dict[str, Any]:
    token = {
        **{"token_id": 5, "token": text, "special": False, "value": -1.375, "low": -1.5},
        **{"high": -1.25, "n": 12, "first_nats": 0.5, "end_nats": 0.25},
        **{"aligned_probability": 0.1, "reference_probability": 0.2, "off_map": False},
        **{"term_weight": -2.0625, "term_low": -3.0, "term_high": -1.0},
    }
    checkpoint = {"source": text, "sha256": text, "dtype": text, "n_parameters": 5}
    return _run("irl.one-token/1", text) | {
        **{"aligned": checkpoint, "reference": checkpoint, "prompts": 12, "tokens": 320},
        **{"left_out": None, "aligned_share": 0.5, "reference_share": 0.5, "floor": 1e-6},
        **{"off_map": 20, "best": [token | {"low": None, "high": None}], "worst": [token]},
        "caveats": _caveats(text),
    }


def trust(text: str) -> dict[str, Any]:
    measured = ("kl_nats", "effective_share", "epistemic", "aleatoric", "spread", "unsettled")
    gains = ("distance", "beyond", "reward_gain", "length_gain")
    measures = {
        **{"responses": 512, "prompts": 64, "effective_answers": 90.0},
        **{name: interval(0.3125) for name in (*measured, *gains)},
    }
    signal = {"name": text, "reason": text, "worse": "high", "colour": "red"}
    return {
        **{"schema": "irl.trust/1", "run_id": text, "created": text, "versions": {text: text}},
        **{"reward": text, "members": 10, "source": text, "data_policy": text},
        **{"data_nats_per_token": interval(), "own_nats_per_token": interval()},
        **{"fitted_answers": 1280, "held_out_pairs": 320, "held_out_accuracy": interval(0.75)},
        **{"neighbours": 10, "lamp": {"colour": "red", "reasons": [text]}, "measures": measures},
        "signals": [
            signal | {"value": interval(6.5), "amber": 2.5, "red": 4.5},
            signal | {"value": None, "amber": None, "red": None},
        ],
        "groups": [{"group": text, "measures": measures, "colour": "amber"}],
        "triage": [{"category": "boundary", "share": interval(0.4375), "responses": 224}],
        "detectors": [
            {"name": text, "planted": text, "auc": interval(0.9375), "reason": None},
            {"name": text, "planted": text, "auc": None, "reason": text},
        ],
        **{"input": {}, "caveats": _caveats(text)},
    }


def _run(schema: str, text: str) -> dict[str, Any]:
    about = {"run_id": text, "created": text, "versions": {text: text}, "settings": {text: text}}
    return {"schema": schema} | about


def _caveats(text: str) -> list[dict[str, str]]:
    return [{"code": text, "text": text}]
