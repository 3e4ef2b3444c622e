// The questions as fieldsets. They are changed in place, so that the focus stays where it is.
import { $, fillSelect, make } from "./dom.js";

const ROWS = new Set(["strategy", "example", "launcher", "authenticate", "template_updates"]);

// What stands beside a disabled option when somebody tries it: [key, value].
let tried = null;

export function fillForm(state) {
  fillHere(state);
  fill($("#questions"), state.questions.filter((question) => !question.later));
  fill($("#more"), state.questions.filter((question) => question.later));
}

function fillHere({ here, systems, machines, gpus, unsupported }) {
  const form = $("#choose").elements;
  fillSelect(form.system, Object.entries(systems), here.system);
  $("#unsupported").textContent = unsupported;
  fillSelect(form.machine, Object.entries(machines), here.machine);
  const known = [["", "none, or not this machine"], ...gpus];
  if (!known.some(([value]) => value === here.gpu)) known.push([here.gpu, here.gpu]);
  fillSelect(form.gpu, known, here.gpu);
  if (document.activeElement !== form.driver) form.driver.value = here.driver;
}

function fill(parent, questions) {
  const wanted = questions.map((question) => {
    const id = `q-${question.key}`;
    const there = document.getElementById(id) ?? make("fieldset", { id });
    question.kind === "text" ? fillText(there, question) : fillOptions(there, question);
    return there;
  });
  for (const old of [...parent.children]) if (!wanted.includes(old)) old.remove();
  wanted.forEach((one, place) => {
    if (parent.children[place] !== one) parent.insertBefore(one, parent.children[place] ?? null);
  });
}

function fillText(set, { key, help, value, reason, fixed }) {
  if (!set.firstChild) {
    set.append(
      make("label", { for: `t-${key}`, class: "legend" }, help, " ", make("small", {}, make("code", {}, key))),
      make("input", { type: "text", id: `t-${key}`, name: key, "aria-describedby": `n-${key}` }),
      make("p", { class: "note", id: `n-${key}`, "aria-live": "polite" }),
    );
  }
  const input = $("input", set);
  if (document.activeElement !== input || !reason) input.value = value;
  input.readOnly = fixed;
  input.setAttribute("aria-invalid", String(Boolean(reason)));
  $(".note", set).textContent = reason ? `${reason}.` : "";
}

function fillOptions(set, question) {
  const { key, kind, help, options } = question;
  const shape = JSON.stringify([kind, options.map(({ value, group }) => [value, group])]);
  if (set.dataset.shape !== shape) {
    set.dataset.shape = shape;
    set.classList.toggle("rows", ROWS.has(key));
    const [groups, sets] = [new Map(), []];
    for (const option of options) {
      if (!groups.has(option.group)) {
        const kindName = option.group && make("span", { class: "kind" }, option.group);
        const row = make("div", { class: "options" });
        sets.push(make("div", { class: "group" }, ...(kindName ? [kindName] : []), row));
        groups.set(option.group, row);
      }
      groups.get(option.group).append(newOption(key, kind, option));
    }
    set.replaceChildren(
      make("legend", {}, help, " ", make("small", {}, make("code", {}, key))),
      ...sets,
      make("p", { class: "key", "aria-hidden": "true" }, "△ not for this machine"),
      make("p", { class: "note", id: `n-${key}`, "aria-live": "polite" }),
    );
  }
  for (const option of options) showOption(set, key, option);
  $(".key", set).hidden = !options.some(({ note }) => note);
  showNote(set, question);
}

const idOf = (key, value) => `o-${key}-${value.replace(/[^\w.-]/g, "_")}`;

function newOption(key, kind, { value }) {
  const id = idOf(key, value);
  const type = kind === "one" ? "radio" : "checkbox";
  return make(
    "span",
    { class: "option" },
    make("input", { type, id, name: key, value, "aria-describedby": `w-${id}` }),
    make("label", { for: id }),
    make("span", { class: "unseen", id: `w-${id}` }),
  );
}

function showOption(set, key, { value, label, detail, checked, reason, note, verified }) {
  // The fieldset may not be in the page yet.
  const input = set.querySelector(`#${CSS.escape(idOf(key, value))}`);
  input.checked = checked;
  if (reason) input.setAttribute("aria-disabled", "true");
  else input.removeAttribute("aria-disabled");
  const unfit = note ? `Not for this machine: ${note}.` : "";
  const inRow = ROWS.has(key);
  input.nextElementSibling.replaceChildren(
    inRow ? make("b", {}, label) : label,
    ...(inRow && detail ? [" ", make("span", { class: "detail" }, detail)] : []),
    ...(verified ? [] : [" ", make("small", {}, "not verified")]),
    ...(unfit ? [make("span", { class: "unfit", "aria-hidden": "true" }, " △")] : []),
  );
  const words = [inRow || !detail ? "" : `${detail}.`, reason && `${reason}.`, unfit].filter(Boolean);
  input.title = words.join(" ");
  input.parentElement.lastElementChild.textContent = words.slice(words[0] === `${detail}.` ? 1 : 0).join(" ");
}

function showNote(set, { key, options }) {
  const note = $(".note", set);
  const option = tried?.[0] === key && options.find(({ value }) => value === tried[1]);
  const chosen = options.find(({ checked, note }) => checked && note);
  if (option && option.reason) {
    const named = option.reason.includes(option.value) ? "" : `${option.label}: `;
    note.replaceChildren(
      `${named}${option.reason}. `,
      ...option.fixes.map((fix) =>
        make("button", { type: "button", "data-fix": JSON.stringify(fix.given) }, `Take ${fix.label}`),
      ),
    );
  } else if (chosen) {
    const text = `${chosen.label} is not for this machine: it is ${chosen.note}.`;
    if (note.textContent !== text) note.textContent = text;
  } else if (note.firstChild) {
    note.replaceChildren();
  }
}

// `choose` gets what changes of the answers; `questions` are those of the last state.
export function listen(choose, questions) {
  const form = $("#choose");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("click", (event) => {
    const { target } = event;
    if (target.dataset.fix) {
      const fieldset = target.closest("fieldset");
      tried = null;
      choose(JSON.parse(target.dataset.fix));
      // The button goes; its question stays in focus.
      $("input:checked, input", fieldset)?.focus();
      return;
    }
    if (!target.matches("input[aria-disabled]")) return;
    // It is not taken, and says why; the focus stays on it.
    event.preventDefault();
    tried = [target.name, target.value];
    const question = questions().find(({ key }) => key === target.name);
    showNote(target.closest("fieldset"), question);
  });
  form.addEventListener("change", ({ target }) => {
    const question = questions().find(({ key }) => key === target.name);
    if (!question) return;
    tried = null;
    if (question.kind === "several") {
      const boxes = [...target.closest("fieldset").querySelectorAll("input")];
      choose({ [target.name]: boxes.filter((box) => box.checked).map((box) => box.value) });
    } else {
      choose({ [target.name]: target.value });
    }
  });
}
