"""The Jinja extension behind every question: which choices, why not, and what plan."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from collections.abc import Callable
from functools import cache, cached_property
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from copier.errors import UserMessageError
from jinja2 import Environment, StrictUndefined, Template, pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context

_FOLDER = Path(__file__).resolve().parent
_CALL = re.compile(r"\{\{ (\w+)\('(\w+)'\) \}\}")
# Names that mean something in Jinja and Copier, beside the environment's own.
_TAKEN = frozenset(
    {
        *("self", "caller", "loop", "varargs", "kwargs", "now", "make_secret", "UNSET"),
        *("_copier_answers", "_copier_conf", "_copier_phase", "_copier_python", "_folder_name"),
    }
)


def _package(folder: Path) -> str:
    """Import the folder as a package under a name of its own, and return that name.

    Copier loads an extension as a lone file, and `copier update` loads the old and the new version
    into one process: a name made from the path keeps the two apart.
    """
    name = f"torch_uv_template_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        spec = spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{folder} is no package")
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return name


def _module(name: str) -> ModuleType:
    # A template in a plain folder is not ours to write to.
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        return import_module(f"{_package(_FOLDER)}.{name}")
    finally:
        sys.dont_write_bytecode = writes


releases = _module("tables.releases")
age, choices, contract, machine = map(
    _module,
    ("questions.age", "questions.choices", "questions.contract", "questions.machine"),
)
names, policy, prompts, refusals = map(
    _module,
    ("questions.names", "questions.policy", "questions.prompts", "questions.refusals"),
)
automation, diagnosis, parts, planner, shown = map(
    _module, ("plan.automation", "plan.diagnosis", "plan.parts", "plan.planner", "plan.shown")
)
known_faults, launching = map(_module, ("plan.faults", "plan.launch"))
destination, stopped, there = map(
    _module, ("project.destination", "project.stopped", "project.there")
)


class _Text:
    """A template without Jinja in it: it renders as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def render(self, /, *_: Any, **__: Any) -> str:
        return self._text


class _Call:
    """A template that calls a function with a question's key: one template per function will do.

    An answer with the function's name does not take its place.
    """

    def __init__(self, template: Template, name: str, key: str) -> None:
        self._template = template
        self._own = {name: template.globals[name], "of_question": key}

    def render(self, /, *known: Any, **more: Any) -> str:
        return self._template.render(*known, **{**more, **self._own})


def _thrifty(environment: Environment) -> Callable[[str], Template | _Text | _Call]:
    """An environment's `from_string` that compiles a template once, and plain text never.

    Copier compiles the type of a question, its choices and its conditions anew at each look, some
    three hundred times in a render: a fifth of the time that it takes.
    """
    compiled = cache(environment.from_string)

    @cache
    def from_string(source: str) -> Template | _Text | _Call:
        if isinstance(source, str) and "{" not in source:
            return _Text(source)
        if isinstance(source, str) and (call := _CALL.fullmatch(source)):
            return _Call(compiled(f"{{{{ {call[1]}(of_question) }}}}"), call[1], call[2])
        return compiled(source)

    return from_string


class TorchIndex(Extension):
    """Adds the functions `adopts`, `answers_before`, `asks_for`, `automation`, `builds_shown`,
    `check_first`, `choices_for`, `default_for`, `diagnosis`, `facts_of`, `faults_shown`,
    `first_asked`, `next_commands`, `prompts_for`, `recorded`, `refusal_for`, `this_machine`,
    `torch_parts`, `torch_plan`, `unasked` and `was_there`, the mapping `comments`, and the filters
    `markdown`, `paragraphs`, `python_literal`, `shell`, `toml`, `workflow` and `yaml`."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # A misspelt variable in a template is an error, not an empty string.
        environment.undefined = StrictUndefined
        # Each template renders once: folding its constants costs more than it saves.
        environment.optimized = False
        environment.from_string = _thrifty(environment)  # type: ignore[method-assign]
        environment.globals.update(
            adopts=self.adopts,
            answers_before=self.answers_before,
            asks_for=self.asks_for,
            automation=self.automation,
            builds_shown=self.builds_shown,
            check_first=self.check_first,
            choices_for=self.choices_for,
            default_for=self.default_for,
            diagnosis=self.diagnosis,
            facts_of=self.facts_of,
            faults_shown=self.faults_shown,
            first_asked=self.first_asked,
            launch=self.launch,
            next_commands=self.next_commands,
            prompts_for=self.prompts_for,
            recorded=names.recorded,
            refusal_for=self.refusal_for,
            comments=parts.COMMENTS,
            torch_parts=self.torch_parts,
            this_machine=self.this_machine,
            torch_plan=self.torch_plan,
            unasked=self.unasked,
            was_there=self.was_there,
        )
        environment.filters.update(
            toml=names.toml_string,
            markdown=names.markdown_text,
            paragraphs=names.paragraphs,
            shell=shlex.quote,
            workflow=names.workflow_string,
            yaml=names.yaml_string,
            python_literal=diagnosis.python_literal,
        )

    @cached_property
    def said(self) -> set[str]:
        return set()

    @cached_property
    def places(self) -> dict[str, Path]:
        return {}

    @cached_property
    def seen(self) -> dict[Path, Any]:
        return {}

    @cached_property
    def found(self) -> dict[Path, Any]:
        return {}

    @cached_property
    def plans(self) -> dict[Any, Any]:
        return {}

    @cached_property
    def tables(self) -> Any:
        return releases.load(_FOLDER)

    @cached_property
    def offered(self) -> Any:
        """The tables inside the organization's policy, out of which questions are answered."""
        try:
            return policy.load(_FOLDER.parent / "policy.yml").restrict(self.tables)
        except ValueError as error:
            raise UserMessageError(f"policy.yml: {error}.") from None

    @cached_property
    def machine(self) -> Any:
        return machine.this_machine()

    @pass_context
    def asks_for(self, context: Context, key: str) -> bool:
        """Whether a question matters.

        Raises UserMessageError if the answer was given in advance and cannot work: the person sees
        the reason alone, before anything is written, where a validator would end in a traceback.
        At the last question, when the plan is known, the edit of a project that is there is tried.
        """
        known = contract.read(context)
        asked = contract.asked(key, known)
        folder, conf = self._place(context)
        if key == contract.KEYS[-1]:
            self._try_edit(context)
        stopped.undo_when_stopped(folder, conf)
        if key in self.adopted(context).answers:
            # What a project says of itself goes before the settings of whoever adopts it, which
            # Copier would take for the default.
            conf["settings"].defaults.pop(key, None)
        given = {**conf["user_defaults"], **conf["data"]}
        if key not in context:
            # A default from a person's settings, which no earlier answer overrides.
            given = {**conf["settings"].defaults, **given}
        if key in given:
            try:
                value = contract.native(key, given[key])
                reason = refusals.why_not(key, self.offered, {**known, key: value}) if asked else ""
            except ValueError as error:
                reason = str(error)
            if reason:
                raise UserMessageError(f"{key}: {reason}.")
        return asked

    @pass_context
    def check_first(self, context: Context) -> str:
        """Refuse a place, a project or a name with an answer that cannot work; nothing to read.

        Copier asks it before it looks at the destination, unless it is quiet. Raises
        UserMessageError.
        """
        conf = context["_copier_conf"]
        taken = {*context.environment.globals, *_TAKEN}
        folder = Path(str(conf["dst_path"])).absolute()
        source = str(context["_copier_answers"].get("_src_path", ""))
        reason = contract.given_refusal({**conf["user_defaults"], **conf["data"]}, taken)
        if not reason and not names.is_one_line(source):
            why = "has a line break or a control character. Nearest: a plain name"
            reason = f"the template's address {source!a} {why}"
        reason = reason or destination.refusal(
            folder, str(conf["answers_file"]), _FOLDER.parent / "template"
        )
        if reason:
            raise UserMessageError(f"{reason}.")
        # Where packages are managed by others, it says more than what the file lacks.
        self.adopted(context)
        if reason := there.refusal(self._there(context)):
            raise UserMessageError(f"{reason}.")
        stopped.undo_when_stopped(self._place(context)[0], conf)
        return ""

    @pass_context
    def choices_for(self, context: Context, key: str) -> str:
        """What a question offers, as JSON, which is YAML too; nothing if it is not asked.

        Copier parses an answer even then, and lets anything pass where nothing is offered.
        """
        known = contract.read(context)
        if not contract.asked(key, known):
            return "[]"
        adopted = self.adopted(context).answers
        if key == "backends" and key not in known and key in adopted:
            known = {**known, key: adopted[key]}
        offered = choices.choices(key, self.offered, known)
        if key == "default_backend" and key in context:
            # The answer may name its item in other words: what was given is what is offered.
            given = str(context[key])
            meant = contract.settled({**known, key: given})[key]
            offered = {text: given if x == meant else x for text, x in offered.items()}
        return json.dumps(offered)

    @pass_context
    def default_for(self, context: Context, key: str) -> Any:
        """The default answer; Copier's UNSET for a question that is not asked."""
        known = contract.read(context)
        previous = known.pop(key, None)
        if not contract.asked(key, known):
            return context["UNSET"]
        reason = previous is not None and refusals.why_not(
            key, self.offered, {**known, key: previous}
        )
        value = choices.successor(key, self.offered, known, previous) if reason else previous
        if value is None and key == "place":
            value = self._stands(context, known)
        if value is None:
            adopted = self.adopted(context).answers
            value = choices.default(
                key,
                self.offered,
                known,
                self._place(context)[0].name,
                lambda: self.machine,
                adopted,
            )
            if key in adopted and value != adopted[key]:
                self._say_of_adopted(key, {**known, key: adopted[key]}, value)
            self._hold_to_policy(key, {**known, key: value})
            before = self._there(context).answers or {}
            if key == "authenticate" and value == "auto" and contract.is_mirrored(before):
                self._say("authenticate: so far CI had a login for the mirror. Taken: auto, none.")
        if reason:
            self._say_taken(key, reason, value)
        return json.dumps(value) if isinstance(value, list) else value

    def _stands(self, context: Context, known: Any) -> str | None:
        """Where the destination is; None where that cannot go with the other answers."""
        found = self._there(context)
        if found.answers is not None:
            # Rendered by a version that did not ask, for the top of a repository.
            return "repository"
        if found.odd:
            self._say(f"{found.odd}. uv wants to read it as well, for it may name a workspace.")
        for place in found.places:
            if not refusals.why_not("place", self.offered, {**known, "place": place}):
                return str(place)
        return None

    def _say_of_workspace(self, context: Context) -> None:
        """Of a project that moved into a workspace, by an update that does not say so; and of one
        that cannot be in that workspace."""
        found, (_, conf) = self._there(context), self._place(context)
        if "member" not in found.places:
            return
        strategy = contract.read(context).get("strategy")
        recorded = found.answers or {}
        if strategy == "provided":
            self._say(
                "place: a uv workspace has this folder as a member, and uv reads at its root alone "
                "what no install may bring: torch would come after all. Name the folder under "
                "exclude in [tool.uv.workspace] there."
            )
            return
        elsewhere = recorded.get("place", "member") != "member" and strategy != "pip"
        if elsewhere and "place" not in conf["data"]:
            self._say("place: a uv workspace has this project as a member; --data place=member")

    def _say_of_aarch64(self, context: Context) -> None:
        """Of a build that an update leaves, though the one that it was chosen by changes: an
        answer that is recorded is no default any more."""
        key, known = "aarch64_backend", contract.read(context)
        recorded, (_, conf) = self._there(context).answers or {}, self._place(context)
        if key not in conf["data"] and choices.follows(key, self.offered, recorded, known):
            rest = {name: value for name, value in known.items() if name != key}
            value = choices.default(key, self.offered, rest, "", lambda: self.machine)
            if value != recorded[key] and not refusals.why_not(
                key, self.offered, {**rest, key: recorded[key]}
            ):
                self._say(f"{key}: it stays {recorded[key]}; --data {key}={value} changes it, too.")

    def adopted(self, context: Context) -> Any:
        """What a project says that is there, and was not rendered from this template.

        It is read once, at the first question, before Copier writes over it. An update, which
        merges, adopts nothing: the file of answers is there.
        """
        folder, _ = self._place(context)
        if folder not in self.found:
            rendered = self._there(context).answers is not None
            new = rendered or not folder.is_dir() or not any(folder.iterdir())
            self.found[folder] = there.Adopted() if new else self._adopt(context, folder)
        return self.found[folder]

    def _adopt(self, context: Context, folder: Path) -> Any:
        """What the files of a folder say. Raises UserMessageError for what cannot be read."""
        # Only a project that is there needs what reads it.
        adoption = _module("project.adoption")
        try:
            return adoption.adopt(folder, self.offered, self._given(context))
        except adoption.CannotAdopt as error:
            raise UserMessageError(f"{error}.") from None

    def _given(self, context: Context) -> dict[str, Any]:
        """The answers that were given in advance, those of another shape left out."""
        _, conf = self._place(context)
        return dict(contract.read({**conf["user_defaults"], **conf["data"]}))

    @pass_context
    def prompts_for(self, context: Context, key: str) -> bool:
        """Whether a person is asked: of a project that is adopted, only what it does not say.

        Copier wants to know this of a question before anything else.
        """
        if key == contract.KEYS[0]:
            self.check_first(context)
        if key == "place":
            self._say_of_workspace(context)
        if key == "aarch64_backend":
            self._say_of_aarch64(context)
        adopted, (_, conf) = self.adopted(context), self._place(context)
        if adopted.answers:
            return key in adopted.open
        return prompts.prompts(
            key,
            self.offered,
            contract.read(context),
            more=bool(context.get(contract.MORE)),
            settings=conf["settings"].defaults,
            update=self._there(context).answers is not None,
        )

    def _place(self, context: Context) -> tuple[Path, Any]:
        """The destination, and what Copier was told."""
        conf = context["_copier_conf"]
        given = str(conf["dst_path"])
        if given not in self.places:
            self.places[given] = Path(given).resolve()
        return self.places[given], conf

    def _there(self, context: Context) -> Any:
        """What stood at the destination when it was first looked at, before anything is written."""
        folder, conf = self._place(context)
        if folder not in self.seen:
            try:
                self.seen[folder] = there.look(folder, str(conf["answers_file"]))
            except UnicodeDecodeError as error:
                reason = f"pyproject.toml cannot be read: {error}. Nearest: save it as UTF-8"
                raise UserMessageError(f"{reason}.") from None
        return self.seen[folder]

    def _try_edit(self, context: Context) -> None:
        """Raises UserMessageError if PyTorch's parts cannot be put where they belong."""
        found = self._there(context)
        if found.text is None:
            return
        editor = _module("project.editor")
        known = {**contract.read(context), contract.KEYS[-1]: ""}
        plan = planner.make_plan(self.tables, contract.Answers.complete(known))
        try:
            editor.edit(found.text, found.answers, plan)
        except editor.CannotEdit as error:
            raise UserMessageError(f"{error}. Nearest: repair it first.") from None

    @pass_context
    def was_there(self, context: Context) -> bool:
        """Whether a project, from this template or not, was there before the render."""
        return self._there(context).text is not None

    @pass_context
    def adopts(self, context: Context) -> bool:
        """Whether its owner, and not this template, made it."""
        return bool(self._there(context).adopts)

    @pass_context
    def answers_before(self, context: Context) -> str:
        """The answers that were recorded before the render, as JSON; empty for none."""
        return str(self._there(context).as_json)

    @pass_context
    def first_asked(self, context: Context, key: str) -> bool:
        """Whether an answer asks for files of the owner's, and none before it did.

        A project that is adopted gets them only by an answer in so many words.
        """
        found, (_, conf) = self._there(context), self._place(context)
        nothing = contract.WITHOUT_FILES[key]
        if context[key] in nothing:
            return False
        if found.adopts:
            return key in conf["data"]
        return found.answers.get(key, nothing[0]) in nothing

    def _hold_to_policy(self, key: str, known: Any) -> None:
        """Raises UserMessageError if nothing that the policy allows fits the earlier answers."""
        policy = self.offered.policy
        reason = policy.rules and refusals.why_not(key, self.offered, known)
        if not reason:
            return
        if rule := policy.rule(key):
            # Why the default is outside says less than why nothing else will do.
            for value in rule.allow:
                given = [value] if key in contract.LISTS else value
                again = refusals.why_not(key, self.offered, {**known, key: given})
                reason = f"{value}: {again}" if again else reason
        raise UserMessageError(
            f"{key}: nothing fits that policy.yml allows. {refusals.parted(reason)[0]}. "
            "Nearest: another answer before, or another policy."
        )

    def _say_of_adopted(self, key: str, known: Any, value: Any) -> None:
        """Raises UserMessageError for a license: to record another than its own is no default."""
        reason = refusals.why_not(key, self.offered, known)
        if reason and key == "license":
            if known[key] == "other":
                return
            raise UserMessageError(f"license: {reason}, which the project does not state.")
        if reason:
            self._say_taken(key, reason, value)

    def _say_taken(self, key: str, reason: str, value: Any) -> None:
        self._say(f"{key}: {refusals.parted(reason)[0]}. Taken: {value or 'none'}.")

    def _say(self, message: str) -> None:
        """Tell once what became of a recorded answer that an update makes impossible.

        Copier drops such an answer without a word.
        """
        if message not in self.said:
            self.said.add(message)
            print(message, file=sys.stderr)

    @pass_context
    def refusal_for(self, context: Context, key: str) -> str:
        """Why the answer cannot work; empty if it can."""
        known = contract.read(context)
        if key not in known:
            return ""
        reason = refusals.why_not(key, self.offered, known) or ""
        # The line under a prompt is cut at the window's edge: what works comes first.
        why, nearest = refusals.parted(reason)
        return f"Nearest: {nearest}. {why}" if nearest else why

    @pass_context
    def torch_plan(self, context: Context) -> Any:
        """The plan for the answers: made once, though most files ask for it."""
        complete = contract.Answers.complete(contract.read(context))
        if complete not in self.plans:
            self.plans[complete] = planner.make_plan(self.tables, complete)
        return self.plans[complete]

    @pass_context
    def torch_parts(self, context: Context) -> Any:
        """What the plan says in pyproject.toml."""
        return parts.parts_of(self.torch_plan(context))

    @pass_context
    def automation(self, context: Context) -> Any:
        """What CI and containers do with the plan."""
        complete = contract.Answers.complete(contract.read(context))
        return automation.automate(self.torch_plan(context), complete)

    @pass_context
    def launch(self, context: Context) -> Any:
        """How a cluster runs the training."""
        complete = contract.Answers.complete(contract.read(context))
        return launching.launch(self.torch_plan(context), complete)

    @pass_context
    def this_machine(self, context: Context) -> str:
        """What a prompt for backends says of the machine, on a line of its own."""
        said = prompts.this_machine(self.offered, contract.read(context), self.machine)
        return f"\n   {said}" if said else ""

    @pass_context
    def facts_of(self, context: Context, key: str) -> str:
        """What a question says of the age of the tables, on a line of its own.

        That for the release line does, and where it is not asked that for the strategy.
        """
        try:
            said = age.facts(self.tables.checked, age.today())
        except ValueError as error:
            raise UserMessageError(f"{error}.") from None
        elsewhere = key != "torch_version" and self.prompts_for(context, "torch_version")
        return f"\n   {said}" if said and not elsewhere else ""

    @pass_context
    def faults_shown(self, context: Context) -> str:
        """What is known of the project's line of PyTorch, for the terminal."""
        return str(known_faults.faults_shown(self.offered, self.torch_plan(context)))

    @pass_context
    def builds_shown(self, context: Context) -> str:
        """The table platform × choice → build, for the terminal."""
        return str(shown.builds_shown(self.torch_plan(context)))

    @pass_context
    def unasked(self, context: Context) -> str:
        """The answers that nobody was asked for or gave."""
        _, conf = self._place(context)
        given = {*conf["user_defaults"], *conf["data"], *conf["settings"].defaults}
        return " ".join(prompts.unasked(contract.read(context), given))

    @pass_context
    def next_commands(self, context: Context) -> Any:
        """What to run after a render."""
        folder, conf = self._place(context)
        given = Path(str(conf["dst_path"]))
        return shown.first_commands(
            self.torch_plan(context),
            self.automation(context),
            "" if given == Path() else names.shell_folder(str(given)),
            destination.is_versioned(folder),
            self._runs_here(context),
        )

    def _runs_here(self, context: Context) -> list[str]:
        plan = self.torch_plan(context)
        if plan.strategy != "extras":
            return []  # The same commands everywhere: there is nothing to look for.
        line = self.tables.lines[plan.line]
        return list(machine.fitting_backends(self.tables, line, self.machine))

    @pass_context
    def diagnosis(self, context: Context) -> Any:
        """What the smoke test and the guard must know beside the plan: made once as well."""
        known, plan = contract.read(context), self.torch_plan(context)
        key = ("diagnosis", contract.Answers.complete(known))
        if key not in self.plans:
            self.plans[key] = diagnosis.make_diagnosis(self.offered, known, plan)
        return self.plans[key]
