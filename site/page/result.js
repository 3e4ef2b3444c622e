// What comes of the answers: builds, commands and files.
import { $, make, table } from "./dom.js";

export function fillResult(state) {
  const said = $("#said");
  said.hidden = !state.said.length && !state.stuck;
  said.className = "said";
  said.replaceChildren(
    ...state.said.map((text) => make("p", {}, text)),
    ...(state.stuck ? [make("p", { class: "stuck" }, `${state.stuck}.`)] : []),
  );
  $("#outputs").hidden = Boolean(state.stuck);
  if (state.stuck) return;
  $("#builds").replaceChildren(builds(state.builds));
  $("#builds-text").textContent = state.builds_text;
  $("#notes").replaceChildren(...state.notes.map((note) => make("li", {}, note)));
  $("#needs").hidden = !state.needs.length;
  $("#needs").replaceChildren(table(["Build", "Driver", "GPU"], state.needs));
  $("#command").textContent = state.command;
  $("#commands").textContent = state.commands.join("\n");
  fillInstalls(state.installs);
  fillFiles(state.files);
}

function builds({ choices, rows }) {
  const cells = rows.map(([platform, found]) => [
    platform,
    ...found.map(([text, verified]) =>
      make("td", verified ? {} : { class: "unverified" }, verified ? text : `${text} (not verified)`),
    ),
  ]);
  return table(["Platform", ...choices], cells);
}

// Where there is a choice at install time: one command for each.
function fillInstalls(installs) {
  $("#installs").replaceChildren();
  if (installs.length < 2) return;
  const rows = installs.map(([label, command]) => [label, make("code", {}, command)]);
  $("#installs").append(table(["Build", "Installed by"], rows));
}

function fillFiles(files) {
  const parent = $("#files");
  const names = Object.keys(files).sort((a, b) => (b === "pyproject.toml") - (a === "pyproject.toml"));
  const wanted = names.map((name) => {
    const id = `f-${name.replace(/[^\w]/g, "-")}`;
    return document.getElementById(id) ?? newFile(id, name);
  });
  for (const old of [...parent.children]) if (!wanted.includes(old)) old.remove();
  wanted.forEach((one, place) => {
    if (parent.children[place] !== one) parent.insertBefore(one, parent.children[place] ?? null);
    $("pre", one).textContent = files[names[place]];
  });
}

function newFile(id, name) {
  const pre = `${id}-text`;
  const head = `${id}-head`;
  return make(
    "details",
    { id, open: name === "pyproject.toml" },
    make("summary", { id: head }, make("code", {}, name)),
    make(
      "div",
      { class: "out" },
      make("button", { type: "button", "data-copies": pre, "aria-describedby": head }, "Copy"),
      make("pre", { class: "file", id: pre, tabindex: "0", "aria-labelledby": head }),
    ),
  );
}

export function announce(text) {
  $("#live").textContent = text;
}

// Without the right to the clipboard, as on a page without https, the text is marked instead.
export async function copy(button, text, shown) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (shown) getSelection().selectAllChildren(shown);
    announce(shown ? "It is marked: copy it with Ctrl+C" : "Copy it from the address of the page");
    return;
  }
  const before = button.dataset.text ?? button.textContent;
  button.dataset.text = before;
  button.textContent = "Copied";
  announce("Copied");
  setTimeout(() => {
    button.textContent = before;
    announce("");
  }, 1500);
}
