// Makes the pages livelier. Whatever changes something works without it.
"use strict";

// Times are sent in UTC; show them as the reader's clock has them.
function localTimes(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of root.querySelectorAll("time:not([title])")) {
    time.title = time.textContent;
    time.textContent = format.format(new Date(time.dateTime));
  }
}

function revive(root) {
  localTimes(root);
  for (const hidden of root.querySelectorAll("[data-copy][hidden], [data-tree-search][hidden]")) {
    hidden.hidden = false;
  }
  connectLive(root);
}

async function copy(button) {
  await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
  const label = button.querySelector("span");
  const before = label.textContent;
  label.textContent = button.dataset.done;
  setTimeout(() => { label.textContent = before; }, 1500);
}

// Narrows a tree of event types to those that hold every word.
function narrow(input) {
  const tree = document.querySelector(input.dataset.filter);
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const group of tree.querySelectorAll("details")) {
    let shown = 0;
    for (const item of group.querySelectorAll("li")) {
      const text = item.dataset.text.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      shown += item.hidden ? 0 : 1;
    }
    group.hidden = shown === 0;
    if (words.length > 0) {
      group.open = shown > 0;
    }
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    copy(button);
  }
  const back = event.target.closest("[data-back]");
  if (back && history.length > 1) {
    event.preventDefault();
    history.back();
  }
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-filter]")) {
    narrow(event.target);
  }
});

document.addEventListener("htmx:load", (event) => revive(event.detail.elt));
revive(document);
