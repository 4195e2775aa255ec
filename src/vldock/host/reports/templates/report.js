"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => { try { return localStorage.getItem("vldock-theme"); } catch { return null; } };
  const remember = (name) => { try { localStorage.setItem("vldock-theme", name); } catch { /* file:// without storage */ } };
  const current = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const label = () => { button.textContent = current() === "dark" ? "Light theme" : "Dark theme"; };
  const setTheme = (name) => { if (name === "dark" || name === "light") root.dataset.theme = name; label(); };
  button.addEventListener("click", () => { const name = current() === "dark" ? "light" : "dark"; setTheme(name); remember(name); });
  dark.addEventListener("change", label);
  setTheme(remembered());

  const data = document.getElementById("samples-data");
  const wanted = () => new URLSearchParams(location.hash.slice(1));
  setTheme(wanted().get("theme"));
  if (!data) return;

  const samples = JSON.parse(data.textContent);
  const pictures = JSON.parse(document.getElementById("pictures-data").textContent);
  const list = document.getElementById("samples-list");
  const count = document.getElementById("samples-count");
  const more = document.getElementById("more");
  const fields = Object.fromEntries(["model", "benchmark", "verdict", "text"].map((name) => [name, document.getElementById("filter-" + name)]));
  const words = { right: "\u2713 right", wrong: "\u2717 wrong", none: "\u2013 no verdict" };
  const PAGE = 24;
  let found = [];

  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const picture = (key, sample, number) => {
    const node = make("img");
    node.alt = `picture ${number + 1} of sample ${sample.index} of ${sample.benchmark}`;
    node.decoding = "async";
    node.src = pictures[key];
    return node;
  };
  const card = (sample) => {
    const item = make("li", "sample " + sample.verdict);
    const head = make("h3");
    head.append(make("span", "", `${sample.model} \u00d7 ${sample.benchmark}, sample ${sample.index}`));
    const graded = sample.score !== null && sample.score !== 0 && sample.score !== 1;
    head.append(make("span", "verdict", words[sample.verdict] + (graded ? ` (${sample.score.toFixed(2)})` : "")));
    item.append(head);
    if (sample.pictures.length) {
      const row = make("div", "pictures");
      row.append(...sample.pictures.map((key, number) => picture(key, sample, number)));
      item.append(row);
    }
    item.append(make("div", "text", sample.question));
    if (sample.options.length) {
      const options = make("ol");
      options.append(...sample.options.map(([letter, text]) => make("li", "", `${letter}. ${text}`)));
      item.append(options);
    }
    const pairs = make("dl");
    for (const [name, value] of [["prediction", sample.prediction || "(empty)"], ["answer", sample.answer], ["category", sample.category], ["note", sample.note]]) {
      if (value) pairs.append(make("dt", "", name), make("dd", "", value));
    }
    item.append(pairs);
    return item;
  };
  const showMore = () => {
    const from = list.childElementCount;
    list.append(...found.slice(from, from + PAGE).map(card));
    more.hidden = list.childElementCount >= found.length;
    more.textContent = `Show ${Math.min(PAGE, found.length - list.childElementCount)} more`;
  };
  const apply = () => {
    const text = fields.text.value.trim().toLowerCase();
    found = samples.filter((sample) =>
      ["model", "benchmark", "verdict"].every((name) => !fields[name].value || sample[name] === fields[name].value) &&
      (!text || [sample.index, sample.question, sample.prediction, sample.answer].some((value) => value.toLowerCase().includes(text))));
    list.replaceChildren();
    showMore();
    count.textContent = `${found.length} of ${samples.length} samples`;
    list.dataset.found = found.length;
  };
  const fromHash = () => {
    const hash = wanted();
    setTheme(hash.get("theme"));
    for (const [name, field] of Object.entries(fields)) field.value = hash.get(name) || "";
    apply();
    if (hash.has("model") || hash.has("benchmark")) document.getElementById("samples").scrollIntoView();
  };
  for (const field of Object.values(fields)) field.addEventListener("input", apply);
  document.getElementById("clear").addEventListener("click", () => {
    for (const field of Object.values(fields)) field.value = "";
    history.replaceState(null, "", location.pathname);
    apply();
    fields.model.focus();
  });
  more.addEventListener("click", showMore);
  addEventListener("hashchange", () => { if (location.hash.includes("=")) fromHash(); });
  fromHash();
})();
