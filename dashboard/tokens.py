"""The tokens of a response in colour: a component that puts untrusted text in as text alone."""

from dataclasses import astuple
from typing import Any, Final

import streamlit as st

from explain.shading import NAMES, Colour, gradient, shade
from explain.tokens import Answer

CSS: Final = """
.legend { display: flex; align-items: center; gap: 0.75rem; margin-bottom: 0.75rem;
  font-size: 0.8125rem; font-variant-numeric: tabular-nums; }
.legend span { opacity: 0.75; }
.legend i { flex: 0 1 12rem; height: 0.8rem; border: 1px solid rgba(128, 128, 128, 0.4); }
.tokens { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 2; }
.tokens span { border-radius: 0.2em; padding: 0.15em 0; cursor: default; }
.tokens span:hover { outline: 1px solid currentColor; }
.tokens .chip { font-family: var(--st-code-font, monospace); font-size: 0.8em; opacity: 0.75;
  padding: 0.1em 0.4em; margin-left: 0.3em; border: 1px solid rgba(128, 128, 128, 0.6); }
.about { position: fixed; z-index: 10; white-space: pre; pointer-events: none; display: none;
  padding: 0.5rem 0.75rem; border-radius: 0.4rem; font-size: 0.8125rem; line-height: 1.5;
  color: var(--st-background-color, #fff); background: var(--st-text-color, #222);
  font-variant-numeric: tabular-nums; }
"""
JS: Final = """
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

export default function ({ data, parentElement }) {
  const about = made("div", "about");
  const text = made("div", "tokens");
  for (const [shown, special, background, hover] of data.tokens) {
    const token = made("span", special ? "chip" : "", shown);
    token.style.background = background;
    token.setAttribute("aria-description", hover);
    token.onpointerenter = () => {
      const place = token.getBoundingClientRect();
      about.textContent = hover;
      about.style.display = "block";
      about.style.left = Math.min(place.left, innerWidth - about.offsetWidth - 16) + "px";
      const below = place.bottom + 6;
      const fits = below + about.offsetHeight < innerHeight;
      about.style.top = (fits ? below : place.top - about.offsetHeight - 6) + "px";
    };
    token.onpointerleave = () => { about.style.display = "none"; };
    text.append(token);
  }
  for (const old of parentElement.querySelectorAll(".legend, .tokens, .about")) old.remove();
  if (data.legend) parentElement.append(legend(data));
  parentElement.append(text, about);
}
"""
_component = st.components.v2.component("irl_tokens", css=CSS, js=JS)


def show_tokens(answer: Answer, colour: Colour, scale: float, key: str | None = None) -> None:
    """The answer's tokens, exact values where one points; with a key, the legend is elsewhere."""
    _component(data=payload(answer, colour, scale) | {"legend": key is None}, key=key)


def payload(answer: Answer, colour: Colour, scale: float) -> dict[str, Any]:
    """What the component is given: text, whether special, background and hover of each token."""
    return {
        "tokens": [list(astuple(token)) for token in shade(answer, colour, scale)],
        "gradient": gradient(),
        "low": f"{-scale:+.2f} nats",
        "high": f"{scale:+.2f} nats {NAMES[colour]}",
    }
