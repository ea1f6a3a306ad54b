#!/usr/bin/env python3
"""Holds the README to its word: its test command, and its program in a fresh project."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first code block of a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    if found is None:
        sys.exit(f"the README has no {language} block")
    return found.group(1)


def test_command() -> None:
    commands = [line for line in block("sh").splitlines() if line.startswith("cargo test")]
    if len(commands) != 1:
        sys.exit("the README does not name exactly one test command")
    print(commands[0])


def fresh_project() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = pathlib.Path(folder)
        (project / "src").mkdir()
        (project / "src/main.rs").write_text(block("rust"), encoding="utf-8")
        (project / "Cargo.toml").write_text(
            "[package]\n"
            'name = "fresh"\n'
            'version = "0.0.0"\n'
            'edition = "2024"\n\n'
            "[dependencies]\n"
            f'prompt-orchestrator = {{ path = "{ROOT}" }}\n'
            'tokio = { version = "1", features = ["macros", "rt-multi-thread"] }\n',
            encoding="utf-8",
        )
        # The versions that everything else is tested with.
        shutil.copy(ROOT / "Cargo.lock", project / "Cargo.lock")
        shutil.copytree(ROOT / "docs", project / "docs")
        environment = {**os.environ, "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))}
        ran = subprocess.run(
            ["cargo", "run", "--quiet"], cwd=project, env=environment, check=True, capture_output=True, text=True
        )
        print(ran.stdout)
        if "[1]" not in ran.stdout or "finish reason stop" not in ran.stdout:
            sys.exit("the README's program did not answer")


{"test-command": test_command, "fresh-project": fresh_project}[sys.argv[1]]()
