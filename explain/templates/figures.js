"use strict";
const PAPER_PIXELS = 660;
const drawn = [];
for (const source of document.querySelectorAll("script[data-figure]")) {
  const place = document.getElementById(source.dataset.figure);
  const figure = JSON.parse(source.textContent);
  const options = { displayModeBar: false, responsive: true };
  Plotly.newPlot(place, figure.data, figure.layout, options);
  drawn.push(place);
}
addEventListener("beforeprint", () => {
  for (const place of drawn) Plotly.relayout(place, { width: PAPER_PIXELS, autosize: false });
});
addEventListener("afterprint", () => {
  for (const place of drawn) Plotly.relayout(place, { width: null, autosize: true });
});
