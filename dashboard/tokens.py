"""Tokens in colour: a component that puts untrusted text in as text alone.

It is given JSON and builds elements from it. Of a long response only what is near the screen is
built, block by block; the rest is plain text until it comes near.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple
from itertools import accumulate
from typing import Any, Final

import streamlit as st

from explain.shading import NAMES, Colour, Shade, gradient, shade
from explain.tokens import Answer

CSS: Final = """
.legend { display: flex; align-items: center; gap: 0.75rem; margin-bottom: 0.75rem;
  font-size: 0.8125rem; font-variant-numeric: tabular-nums; }
.legend span { opacity: 0.75; }
.legend i { flex: 0 1 12rem; height: 0.8rem; border: 1px solid rgba(128, 128, 128, 0.4); }
.tokens { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 2; }
.tokens [data-at] { border-radius: 0.2em; padding: 0.15em 0; cursor: default; }
.tokens.open [data-at] { cursor: pointer; }
.tokens [data-at]:hover, .tokens [data-at]:focus { outline: 1px solid currentColor; }
.tokens .marked { outline: 2px solid currentColor; }
.tokens .chip { font-family: var(--st-code-font, monospace); font-size: 0.8em; opacity: 0.75;
  padding: 0.1em 0.4em; margin-left: 0.3em; border: 1px solid rgba(128, 128, 128, 0.6); }
.about { position: fixed; z-index: 10; white-space: pre; pointer-events: none; display: none;
  padding: 0.5rem 0.75rem; border-radius: 0.4rem; font-size: 0.8125rem; line-height: 1.5;
  color: var(--st-background-color, #fff); background: var(--st-text-color, #222);
  font-variant-numeric: tabular-nums; max-width: 90vw; overflow: hidden; }
"""
JS: Final = """
const BLOCK = 400;
const NEAR = "800px";

function made(name, className, text) {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text ?? "";
  return element;
}

function legend(data) {
  const row = made("div", "legend");
  const bar = document.createElement("i");
  bar.style.background = data.gradient;
  row.append(made("span", "", data.low), bar, made("span", "", data.high));
  return row;
}

// White space before a word is not coloured: words stay apart.
function parted(shown) {
  const word = shown.trimStart();
  return word ? [shown.slice(0, shown.length - word.length), word] : ["", shown];
}

function token(data, at) {
  const [shown, special, background, hover] = data.tokens[at];
  const element = made("span", special ? "chip" : "", parted(shown)[1]);
  element.style.background = background;
  element.dataset.at = at;
  element.tabIndex = at === (data.marked ?? 0) ? 0 : -1;
  element.setAttribute("role", data.open ? "button" : "note");
  element.setAttribute("aria-description", hover);
  if (at === data.marked) {
    element.classList.add("marked");
    element.setAttribute("aria-pressed", "true");
  }
  return element;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const about = made("div", "about");
  const text = made("div", data.open ? "tokens open" : "tokens");
  text.setAttribute("role", "group");
  text.setAttribute("aria-label", data.label);
  const ends = at => [at * BLOCK, Math.min((at + 1) * BLOCK, data.tokens.length)];

  function plain(block) {
    const [start, end] = ends(Number(block.dataset.block));
    block.textContent = data.tokens.slice(start, end).map(one => one[0]).join("");
    block.dataset.built = "";
  }
  function build(block) {
    if (block.dataset.built) return;
    const [start, end] = ends(Number(block.dataset.block));
    const tokens = [];
    for (let at = start; at < end; at += 1) {
      tokens.push(parted(data.tokens[at][0])[0], token(data, at));
    }
    block.replaceChildren(...tokens);
    block.dataset.built = "yes";
  }
  const watch = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) build(target);
      else if (!target.matches(":focus-within")) plain(target);
    }
  }, { rootMargin: NEAR, scrollMargin: NEAR });
  for (let at = 0; at * BLOCK < data.tokens.length; at += 1) {
    const block = document.createElement("span");
    block.dataset.block = at;
    plain(block);
    if (at === 0) build(block);
    text.append(block);
    watch.observe(block);
  }

  const owner = event => event.target.closest?.("[data-at]");
  function tell(element) {
    const place = element.getBoundingClientRect();
    about.textContent = data.tokens[element.dataset.at][3];
    about.style.display = "block";
    const rightmost = innerWidth - about.offsetWidth - 16;
    about.style.left = Math.max(0, Math.min(place.left, rightmost)) + "px";
    const below = place.bottom + 6;
    const fits = below + about.offsetHeight < innerHeight;
    about.style.top = (fits ? below : place.top - about.offsetHeight - 6) + "px";
  }
  const hush = () => { about.style.display = "none"; };
  const choose = element => data.open && setTriggerValue("token", Number(element.dataset.at));
  function move(at) {
    if (at < 0 || at >= data.tokens.length) return;
    build(text.children[Math.floor(at / BLOCK)]);
    for (const before of text.querySelectorAll("[tabindex='0']")) before.tabIndex = -1;
    const next = text.querySelector(`[data-at="${at}"]`);
    next.tabIndex = 0;
    next.focus();
  }
  text.onpointerover = event => owner(event) && tell(owner(event));
  text.onpointerout = hush;
  text.addEventListener("focusin", event => owner(event) && tell(owner(event)));
  text.addEventListener("focusout", hush);
  text.onclick = event => owner(event) && choose(owner(event));
  text.onkeydown = event => {
    const here = owner(event);
    if (!here) return;
    const at = Number(here.dataset.at);
    const keys = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: data.tokens.length - 1 };
    if (event.key in keys) move(keys[event.key]);
    else if (event.key === "Enter" || event.key === " ") choose(here);
    else if (event.key === "Escape") hush();
    else return;
    event.preventDefault();
  };
  const inside = parentElement.activeElement ?? document.activeElement;
  const focused = inside?.dataset?.at !== undefined && parentElement.contains(inside);
  for (const old of parentElement.querySelectorAll(".legend, .tokens, .about")) old.remove();
  if (data.gradient) parentElement.append(legend(data));
  parentElement.append(text, about);
  if (focused && data.marked !== null) {
    build(text.children[Math.floor(data.marked / BLOCK)]);
    text.querySelector(`[data-at="${data.marked}"]`)?.focus({ preventScroll: true });
    hush();
  }
  return () => watch.disconnect();
}
"""
LABEL: Final = "{} in colour; arrow keys go from one to the next"
_component = st.components.v2.component("irl_tokens", css=CSS, js=JS)


def show_tokens(
    answer: Answer,
    colour: Colour,
    scale: float,
    key: str,
    *,
    legend: bool = True,
    chosen: int | None = None,
    on_choose: Callable[[int], None] | None = None,
) -> None:
    """The answer's tokens, or what they were put together to; exact values where one points.

    Args:
        answer: what is shown.
        colour: what it is coloured by.
        scale: where full colour stands, nats.
        key: of the component.
        legend: whether it stands above them.
        chosen: position of a token that is marked, from 0.
        on_choose: called with the position of a token that was clicked, or chosen by the keyboard.
    """
    starts = list(accumulate((one.n_tokens for one in answer.tokens), initial=0))
    given = payload(shade(answer, colour, scale), "tokens")
    if chosen is not None and chosen < starts[-1]:
        given["marked"] = sum(start <= chosen for start in starts) - 1
    if legend:
        given |= scale_told(f"nats {NAMES[colour]}", " nats", scale)
    if on_choose is None:
        _component(data=given, key=key)
        return

    def follow() -> None:
        at = st.session_state[key]["token"]
        if isinstance(at, int) and 0 <= at < len(answer.tokens):
            on_choose(starts[at])

    _component(data=given | {"open": True}, key=key, on_token_change=follow)


def show_values(
    values: Sequence[Shade], name: str, scale: float, key: str, *, legend: bool = True
) -> None:
    """Segments of a text with what a method attributes to them.

    Args:
        values: the segments in colour.
        name: of the method, with its unit.
        scale: where full colour stands.
        key: of the component.
        legend: whether it stands above them.
    """
    ends = scale_told(name, "", scale) if legend else {}
    _component(data=payload(values, "segments") | ends, key=key)


def payload(shades: Sequence[Shade], of: str) -> dict[str, Any]:
    """What the component is given: text, whether special, background and hover of each."""
    tokens = [list(astuple(one)) for one in shades]
    return {"tokens": tokens, "marked": None, "open": False, "label": LABEL.format(of)}


def scale_told(high: str, low: str, scale: float) -> dict[str, str]:
    """The legend: its bar, and what its ends stand for."""
    return {"gradient": gradient(), "low": f"{-scale:+.2f}{low}", "high": f"{scale:+.2f} {high}"}
