"""Whether suites that nobody here wrote find anything wrong with the server: `make suites`.

`python -m benchmarks.suites [--short] [--only NAME]...`: each suite talks to a real server process over stdio or HTTP,
and has a bar. One that is below its bar ends this with exit code 1, and so does one that is not installed, unless
`--short` is given, which also leaves out what takes long. What each of them printed stays in `build/suites/log`.

It installs nothing (the Makefile does), and knows nothing of the suites but their command lines and what they print.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.report import publish, show

ROOT = Path(__file__).parents[1]
SUITES = ROOT / "build" / "suites"
LOG = SUITES / "log"
OWN = ROOT / "tests" / "suites"
LORGNETTE = Path(sys.executable).with_name("lorgnette")
QUESTION = {"question": "How many objects are there?", "images": ["shapes.png"]}
NO_CRASH = {
    "accepted_malformed",  # free text that looks like an attack is still free text
    "injection_reflection",  # an error that quotes what it refuses
}
REQUIREMENTS = "npm/node_modules/@modelcontextprotocol/conformance/requirements/{}.yaml"
LIMIT_S, START_S = 1200, 60
PATIENT = ["--json", "--fail-under", "100", "--include-destructive", "--timeout", "120"]
PROGRAMS = {
    "conformance": "npm/node_modules/.bin/conformance",
    "inspector": "npm/node_modules/.bin/mcp-inspector",
    "mcpscore": "python/bin/mcpscore",
    "mcp-fuzzer": "python/bin/mcp-fuzzer",
    "mcp-ssrf-check": "python/bin/mcp-ssrf-check",
    "mcp-runtime-check": "python/bin/mcp-fuzz",
    "mcp-reality-check": "python/bin/mcp-reality-check",
    "mcp-conform": "python/bin/mcp-conform",
    "mcp-token-lint": "python/bin/mcp-token-lint",
    "cisco-ai-mcp-scanner": "scanner/bin/mcp-scanner",
    "mcp": "old/bin/python",
}


@dataclass
class Outcome:
    """How one suite ended."""

    passed: bool
    said: str
    notes: list[str] = field(default_factory=list)
    """What it had to say against the server, in its own words."""


class Place:
    """Folders of the servers' own, the environment that names them, and the suites run in it."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder, self.log = folder, log
        self.variables = {
            "LORGNETTE_HOME": str(folder / "home"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "LORGNETTE_CALLS_PER_MINUTE": "0",  # a suite is no client that has to be slowed down
            "LORGNETTE_ATTACH": "never",
            "OMP_NUM_THREADS": "1",
        }
        self.arguments = ["--root", str(folder / "pictures"), "--kb", str(folder / "documents")]

    @property
    def stdio(self) -> list[str]:
        """The command of a stdio server; clients hand on little of their own environment."""
        settings = [f"{name}={value}" for name, value in self.variables.items()]
        return ["env", *settings, str(LORGNETTE), "serve", *self.arguments]

    def run(self, name: str, *arguments: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a suite's program, or a file where it is one, and keep what it printed."""
        program = SUITES / PROGRAMS[name] if name in PROGRAMS else Path(name)
        path = f"{SUITES / 'node' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        command = [str(program), *map(str, arguments)]
        run = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **self.variables, "PATH": path, "NO_COLOR": "1", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT_S,
            check=False,
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{run.stdout}\n{run.stderr}\n-> {run.returncode}\n\n")
        return run

    @contextlib.contextmanager
    def http(self, *command: str | Path) -> Iterator[str]:
        """Run an HTTP server, the product where no command is given, and give its address."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        served = [*command, port] if command else [LORGNETTE, "serve", "--http", "--port", port, *self.arguments]
        environment = {**os.environ, **self.variables}
        with (
            self.log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                [str(part) for part in served],
                cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            ) as server,
        ):  # fmt: skip
            try:
                _wait_for(port, server)
                yield f"http://127.0.0.1:{port}/mcp"
            finally:
                server.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(10)
                server.kill()


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the HTTP server did not start: {server.args!r}")


Run = Callable[[Place], Outcome]


@dataclass(frozen=True)
class Suite:
    """One way to look at the server."""

    name: str
    """Of the program; see `PROGRAMS`."""
    what: str
    over: str
    bar: str
    run: Run
    short: bool = True
    """Whether it takes seconds."""


def conformance(revision: str, fixtures: bool) -> Run:
    """Look at one revision of the protocol: at everything, with the suite's fixtures, or at the product alone."""

    def run(place: Place) -> Outcome:
        command: Sequence[str | Path] = [sys.executable, OWN / "serve_fixtures.py"] if fixtures else []
        listed = OWN / f"expected-failures-{revision}.yml"
        known: Sequence[str | Path] = [] if fixtures else ["--expected-failures", listed]
        with place.http(*command) as url:
            ended = place.run(
                "conformance", "server", "--url", url, "--requirements", revision, "-o", "conformance", *known
            )
        wanted = yaml.safe_load((SUITES / REQUIREMENTS.format(revision)).read_text("utf-8"))["server"]
        lines = re.findall(r"^([✓✗]) (\S+): \d+ passed", ended.stdout, re.MULTILINE)
        required = {name: mark == "✓" for mark, name in lines if name in wanted}
        said = f"{sum(required.values())} of {len(required)} required scenarios"
        failed = [name for name, right in required.items() if not right and (fixtures or ended.returncode)]
        return Outcome(ended.returncode == 0 and len(required) == len(wanted), said, failed)

    return run


def inspector(http: bool, era: str) -> Run:
    """Use everything that is offered through the TypeScript client, in one era of the protocol."""

    def run(place: Place) -> Outcome:
        with place.http() if http else contextlib.nullcontext() as url:
            target = [url, "--transport", "http"] if url else place.stdio
            return _inspect(place, [str(part) for part in target], era)

    return run


def _inspect(place: Place, target: list[str], era: str) -> Outcome:
    failed: list[str] = []
    done = 0

    def call(method: str, *options: str) -> dict[str, Any]:
        nonlocal done
        given = ["--cli", *target, "--method", method, *options, "--protocol-era", era, "--format", "json"]
        ended = place.run("inspector", *given)
        done += 1
        if ended.returncode:
            failed.append(f"{method} {' '.join(options)}: exit code {ended.returncode}")
        with contextlib.suppress(ValueError):
            read: dict[str, Any] = json.loads(ended.stdout)
            return read
        return {}

    call("initialize")
    call("tools/list", "--strict")
    answered = call("tools/call", "--tool-name", "ask_image", "--tool-args-json", json.dumps(QUESTION))
    session = answered.get("result", answered).get("structuredContent", {}).get("session_id", "none")
    call("tools/call", "--tool-name", "search_kb", "--tool-arg", "query=calibration")
    call("tools/call", "--tool-name", "save_session_summary", "--tool-arg", f"session_id={session}")
    resources = call("resources/list")
    for resource in resources.get("result", resources).get("resources", []):
        call("resources/read", "--uri", resource["uri"])
    call("resources/templates/list")
    prompts = call("prompts/list")
    for prompt in prompts.get("result", prompts).get("prompts", []):
        needed = [a["name"] for a in prompt.get("arguments", []) if a.get("required")]
        options = ["--prompt-args", *(f"{name}=shapes.png" for name in needed)] if needed else []
        call("prompts/get", "--prompt-name", prompt["name"], *options)
    return Outcome(not failed, f"{done - len(failed)} of {done} calls", failed)


def mcpscore(http: bool) -> Run:
    """Have the server's texts, schemas and manners scored, and its tools called."""

    def run(place: Place) -> Outcome:
        with place.http() if http else contextlib.nullcontext() as url:
            target = [url] if url else ["--stdio", *place.stdio]
            options = ["--no-config", "--json", "--smoke", "--fail-under", "95"]
            ended = place.run("mcpscore", *options, *[str(part) for part in target])
        report = json.loads(ended.stdout or "{}")
        score, most = report.get("score", 0), report.get("max_score", 1)
        return Outcome(ended.returncode == 0, f"{score} of {most} points, {score / most:.1%}", _lost(report))

    return run


def _lost(report: dict[str, Any]) -> list[str]:
    """Return the rules that cost points, and the checks of the calls that failed."""
    rules = [*report.get("results", []), *report.get("readiness", {}).get("results", [])]
    return [
        f"{rule['rule_id']}: {rule['severity_value']} points, {rule['message']}" for rule in rules if not rule["passed"]
    ]


def fuzzer(mode: str, http: bool) -> Run:
    """Send what nobody would send."""

    def run(place: Place) -> Outcome:
        with place.http() if http else contextlib.nullcontext() as url:
            where = ["streamablehttp", "--endpoint", url] if url else ["stdio", "--endpoint", " ".join(place.stdio)]
            options = ["--mode", mode, "--phase", "both", "--runs", "20", "--seed", "1", "--output-dir", "fuzzed"]
            ended = place.run("mcp-fuzzer", *options, "--protocol", *[str(part) for part in where])
        summary = json.loads((place.folder / "fuzzed" / "run_summary.json").read_text("utf-8"))
        runs = summary["tools"]["total_runs"] + summary["protocols"]["total_runs"]
        found = {kind: n for kind, n in summary["findings"]["by_category"].items() if kind not in NO_CRASH}
        broken = sum(tool["exceptions"] + tool["outcomes"]["crashed"] for tool in summary["tools"]["by_name"].values())
        crashes = sum(found.values()) + broken
        return Outcome(ended.returncode == 0 and runs > 0 and not crashes, f"{runs} runs, {crashes} crashes", [*found])

    return run


def runtime_check(place: Place) -> Outcome:
    """Call each tool that only reads as its schema says, and otherwise."""
    ended = place.run("mcp-runtime-check", *PATIENT, "--", *place.stdio)
    report = json.loads(ended.stdout or "{}")
    return Outcome(ended.returncode == 0, f"{report.get('crash_resilience_percent')} % held", [])


def reality_check(place: Place) -> Outcome:
    """Look for refusals that pass for answers."""
    ended = place.run("mcp-reality-check", *PATIENT, "--", *place.stdio)
    report = json.loads(ended.stdout or "{}")
    return Outcome(ended.returncode == 0, f"{report.get('sanity_percent')} % sane", [])


def conform(place: Place) -> Outcome:
    """Speak 2025-03-26 with a client that has no library."""
    command = ["--transport", "stdio", "--command", " ".join(place.stdio), "--timeout", "60"]
    ended = place.run("mcp-conform", "server", *command, "--format", "json")
    report = json.loads(ended.stdout or "{}")
    return Outcome(ended.returncode == 0, f"{report.get('passed')} of {report.get('total')} checks")


def token_lint(place: Place) -> Outcome:
    """Count the tokens of the tools' list, by the letters."""
    command, *arguments = place.stdio
    config = place.folder / "client.json"
    config.write_text(json.dumps({"mcpServers": {"lorgnette": {"command": command, "args": arguments}}}), "utf-8")
    ended = place.run(
        "mcp-token-lint", "check", config, "--budget", "1000", "--json", MCP_TOKEN_LINT_TOKENIZER="approx"
    )
    report = json.loads(ended.stdout or "{}")
    return Outcome(ended.returncode == 0, f"{report.get('total_tokens')} tokens", [])


def ssrf_check(place: Place) -> Outcome:
    """Come with foreign Host and Origin headers, and with another's session, in both eras of the protocol."""
    checks, failed = [], False
    with place.http() as url:
        for era in ("stateless", "stateful"):
            written = place.folder / f"{era}.json"
            ended = place.run("mcp-ssrf-check", "--url", url, "--lifecycle", era, "--json-out", written)
            checks += json.loads(written.read_text("utf-8"))["checks"]
            failed = failed or ended.returncode != 0
    statuses = [check["status"] for check in checks]
    said = f"{statuses.count('pass')} passed, {statuses.count('fail')} failed"
    return Outcome(not failed, said, [f"{c['id']}: {c['detail']}" for c in checks if c["status"] == "fail"])


def scanner(place: Place) -> Outcome:
    """Look for texts that would mislead a model, by rules on this machine."""
    command, *arguments = place.stdio
    options = ["--analyzers", "yara", "--format", "summary", "stdio", "--stdio-command", command]
    given = [f"--stdio-arg={part}" for part in arguments]
    ended = place.run("cisco-ai-mcp-scanner", *options, *given, LITELLM_LOCAL_MODEL_COST_MAP="True")
    unsafe = re.search(r"Unsafe items: (\d+)", ended.stdout)
    return Outcome(ended.returncode == 0 and (not unsafe or unsafe[1] == "0"), unsafe[0] if unsafe else "safe", [])


def old_client(http: bool) -> Run:
    """Use everything that is offered through the last client of the 1.x line."""

    def run(place: Place) -> Outcome:
        with place.http() if http else contextlib.nullcontext() as url:
            ended = place.run("mcp", OWN / "old_client.py", *([url] if url else place.stdio))
        lines = (ended.stdout if ended.returncode == 0 else ended.stderr).strip().splitlines()
        return Outcome(ended.returncode == 0, lines[-1] if lines else "")

    return run


OLD, NEW = "2025-11-25", "2026-07-28"
ALL = [
    *[
        Suite("conformance", f"{revision}, {'with fixtures' if full else 'product'}", "HTTP",
              "all" if full else "known failures", conformance(revision, full), short=full)
        for full in (True, False) for revision in (NEW, OLD)
    ],
    *[
        Suite("inspector", f"{era} era", "HTTP" if http else "stdio", "exit 0", inspector(http, era), short=False)
        for http in (False, True) for era in ("modern", "legacy")
    ],
    *[Suite("mcpscore", "with calls", "HTTP" if http else "stdio", "95 %", mcpscore(http)) for http in (False, True)],
    *[
        Suite("mcp-fuzzer", mode, "stdio", "0 crashes", fuzzer(mode, False), short=False)
        for mode in ("tools", "protocol", "resources", "prompts")
    ],
    Suite("mcp-fuzzer", "protocol", "HTTP", "0 crashes", fuzzer("protocol", True), short=False),
    Suite("mcp-ssrf-check", "", "HTTP", "exit 0", ssrf_check),
    Suite("mcp-runtime-check", "", "stdio", "100 %", runtime_check),
    Suite("mcp-reality-check", "", "stdio", "100 %", reality_check, short=False),
    Suite("mcp-conform", "2025-03-26", "stdio", "exit 0", conform),
    Suite("mcp-token-lint", "approximate", "stdio", "1,000 tokens", token_lint),
    Suite("cisco-ai-mcp-scanner", "yara", "stdio", "safe", scanner, short=False),
    *[Suite("mcp", "its client", "HTTP" if http else "stdio", "exit 0", old_client(http)) for http in (False, True)],
]  # fmt: skip


def main() -> None:
    """Run them, print the table, and write it where all of them ran."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="what takes seconds, and is there")
    parser.add_argument("--only", action="append", metavar="NAME", help="suites whose name contains this")
    arguments = parser.parse_args()
    only: list[str] | None = arguments.only
    chosen = [suite for suite in ALL if suite.short or not arguments.short]
    chosen = [suite for suite in chosen if only is None or any(name in suite.name for name in only)]
    shutil.rmtree(LOG, ignore_errors=True)
    LOG.mkdir(parents=True)
    rows = [row for suite in chosen if (row := measure(suite, arguments.short))]
    title = "Suites that nobody here wrote, against this server"
    if chosen == ALL:
        publish("suites", title, rows)
    elif rows:
        show(title, rows)
    below = [f"{row['suite']} {row['what']}" for row in rows if row["passed"] == "no"]
    if below:
        sys.exit(f"below the bar: {', '.join(below)}; see {LOG.relative_to(ROOT)}")


def measure(suite: Suite, may_miss: bool) -> dict[str, Any] | None:
    """Run one suite in folders of its own; none where it may be missing and is."""
    if not (SUITES / PROGRAMS[suite.name]).exists():
        if may_miss:
            print(f"{suite.name} {suite.what}: left out, it is not installed")
            return None
        outcome, seconds = Outcome(False, "not installed"), 0.0
    else:
        outcome, seconds = _timed(suite)
    for note in outcome.notes:
        print(f"  {suite.name}, {suite.what}, {suite.over}: {note}")
    return {
        "suite": suite.name,
        "version": versions()[suite.name],
        "what": suite.what,
        "over": suite.over,
        "bar": suite.bar,
        "result": outcome.said,
        "passed": "yes" if outcome.passed else "no",
        "seconds": round(seconds, 1),
    }


def _timed(suite: Suite) -> tuple[Outcome, float]:
    log = LOG / (re.sub(r"\W+", "-", f"{suite.name} {suite.what} {suite.over}").strip("-") + ".txt")
    with tempfile.TemporaryDirectory(prefix="lorgnette-suites-", ignore_cleanup_errors=True) as folder:
        shutil.copytree(ROOT / "knowledge_base", Path(folder) / "documents")
        shutil.copytree(ROOT / "examples", Path(folder) / "pictures")
        began = time.monotonic()
        try:
            outcome = suite.run(Place(Path(folder), log))
        except (OSError, RuntimeError, ValueError, LookupError, subprocess.TimeoutExpired) as error:
            outcome = Outcome(False, f"{type(error).__name__}: {error}"[:200])
    return outcome, time.monotonic() - began


def versions() -> dict[str, str]:
    """Return what the suites are pinned to."""
    lines = [line for file in OWN.glob("*.txt") for line in file.read_text("utf-8").splitlines()]
    pinned = dict(line.split("==") for line in lines if "==" in line and not line.startswith("mcp=="))
    npm = json.loads((OWN / "package.json").read_text("utf-8"))["dependencies"]
    old = re.search(r"^mcp==(\S+)", (OWN / "old.txt").read_text("utf-8"), re.MULTILINE)
    return pinned | {name.split("/")[-1]: version for name, version in npm.items()} | {"mcp": old[1] if old else ""}


if __name__ == "__main__":
    main()
