// Draws the charts with uPlot, in place of the pictures that the server made.
"use strict";

(() => {
  const drawn = new Map(); // by figure
  const height = 210; // px

  // colours gives those of the legend, as the theme has them.
  function colours(figure) {
    return [...figure.querySelectorAll(".legend i")].map((mark) => getComputedStyle(mark).backgroundColor);
  }

  // stacked adds each series to those before it; where it has nothing of its
  // own there is nothing to draw.
  function stacked(values) {
    const sum = values[0].map(() => 0);
    return values.map((series) => series.map((value, i) => ((sum[i] += value), value > 0 ? sum[i] : null)));
  }

  function format(unit) {
    const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
    return (value) => {
      if (value == null) {
        return "–";
      }
      if (unit !== "ms") {
        return number.format(value);
      }
      return value >= 1000 ? `${number.format(value / 1000)} s` : `${number.format(value)} ms`;
    };
  }

  function times(span) {
    const options = span > 2 * 86400 ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const time = new Intl.DateTimeFormat(document.documentElement.lang, options);
    return (_, splits) => splits.map((at) => time.format(new Date(at * 1000)));
  }

  // widest gives how much room the longest of the labels takes, in px.
  function widest(labels, font) {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = font;
    return Math.ceil(Math.max(0, ...labels.map((label) => pen.measureText(label).width)));
  }

  // alone gives the values that no line leads to or from.
  function alone(chart, series) {
    const values = chart.data[series];
    return values.flatMap((v, i) => (v != null && values[i - 1] == null && values[i + 1] == null ? [i] : []));
  }

  function draw(figure) {
    const data = JSON.parse(figure.dataset.chart);
    const plot = figure.querySelector(".plot");
    const style = getComputedStyle(figure);
    const colour = colours(figure);
    const write = format(data.unit);
    const outputs = figure.querySelectorAll(".legend output");
    // What is stacked is drawn from the top down: the lower parts lie over the upper ones.
    const shown = data.stacked ? stacked(data.values) : data.values;
    const order = shown.map((_, i) => (data.stacked ? shown.length - 1 - i : i));
    const most = Math.max(...shown.flat().filter((v) => v != null), data.stacked ? 4 : 1);
    const half = data.at.length > 1 ? (data.at[1] - data.at[0]) / 2 : 30;
    const axis = { stroke: style.getPropertyValue("color"), font: `12px ${style.fontFamily}`, ticks: { show: false } };
    const time = times(data.at.at(-1) - data.at[0]);
    const grid = { stroke: getComputedStyle(plot).borderTopColor, width: 1 };
    const options = {
      width: plot.clientWidth,
      height,
      padding: [10, widest(time(null, data.at), axis.font) / 2 + 2, 0, 0], // a label at the very end is not cut
      legend: { show: false },
      cursor: { y: false, points: { show: !data.stacked }, drag: { x: false, y: false } },
      scales: { x: { time: true, range: [data.at[0] - half, data.at.at(-1) + half] }, y: { range: [0, most * 1.08] } },
      axes: [
        { ...axis, grid: { show: false }, space: 70, size: 26, values: time },
        { ...axis, grid, size: (_, labels) => Math.max(40, widest(labels ?? [], axis.font) + 12), values: (_, splits) => splits.map((v) => (data.stacked && v % 1 !== 0 ? "" : write(v))) },
      ],
      series: [{}, ...order.map((i) => (data.stacked
        ? { fill: colour[i], stroke: colour[i], width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.72, 60] }) }
        : { stroke: colour[i], width: 2, points: { show: true, size: 5, fill: colour[i], filter: alone } }))],
      hooks: {
        setCursor: [(u) => outputs.forEach((output, i) => {
          output.textContent = u.cursor.idx == null ? "" : write(data.values[i][u.cursor.idx]);
        })],
      },
    };
    drawn.get(figure)?.chart.destroy();
    plot.querySelector("svg")?.remove();
    const chart = new uPlot(options, [data.at, ...order.map((i) => shown[i])], plot);
    drawn.set(figure, { chart, width: plot.clientWidth });
  }

  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const known = drawn.get(target.closest("[data-chart]"));
      if (known && known.width !== target.clientWidth) {
        known.width = target.clientWidth;
        known.chart.setSize({ width: target.clientWidth, height });
      }
    }
  });

  function drawAll(root) {
    for (const [figure, { chart }] of drawn) {
      if (!figure.isConnected) {
        chart.destroy();
        drawn.delete(figure);
      }
    }
    for (const figure of root.querySelectorAll("[data-chart]")) {
      if (!drawn.has(figure)) {
        draw(figure);
        resized.observe(figure.querySelector(".plot"));
      }
    }
  }

  // What someone reads is not renewed under their eyes: a table that is open,
  // a button that has the focus.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target;
    if (part.matches("[data-calm]") && (part.querySelector("details[open]") || part.contains(document.activeElement))) {
      event.preventDefault();
    }
  });
  document.addEventListener("htmx:load", (event) => drawAll(event.detail.elt));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((_, figure) => draw(figure)));
  drawAll(document);
})();
