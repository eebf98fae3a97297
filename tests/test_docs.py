"""The documentation: links lead somewhere, commands have the options that pages show, and the README stays short."""

import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from conftest import ROOT, Script

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "cluster/README.md",
    ROOT / "models/MODEL_CARD.md",
]
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"""\]\(([^)\s]+)\)|\bsrc="([^"]+)\"""")
# lines of code blocks, and code within a sentence
CODE = re.compile(r"^```\w*\n(.*?)^```|^ {4,}(.+)$|`([^`]+)`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"(-m deepfake\.\w+|\b0\d[a-z]?-\w+\.py|\bbenchmarks/\w+\.py|\brun\.sh"
    r"|\brecipes/\w+\.sh|\bcluster/\w+/submit\.sh)(?=\s|$)(.*)"
)
STOPS = re.compile(r"\s#|\s--\s|&&|[|;]")  # what follows them is no option of the command
README_LINES = 200


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return set(map(slug, re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)))


def shown_commands(page: Path) -> list[tuple[str, set[str]]]:
    """Each command that a page shows, such as `run.sh`, and the options that it is shown with."""
    found = []
    for parts in CODE.findall(page.read_text()):
        for line in "".join(parts).replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|;", re.sub(r'"[^"]*"', "", line)):
                if match := COMMAND.search(part):
                    found.append((match[1], set(re.findall(r"(?<!\S)--[\w-]+", STOPS.split(match[2])[0]))))
    return found


OPTIONS = defaultdict(set)
for page in PAGES:
    for command, options in shown_commands(page):
        OPTIONS[command] |= options


def help_of(command: str) -> subprocess.CompletedProcess:
    if command.split()[0].endswith(".sh"):
        return subprocess.run(["bash", command, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    return Script(*command.split(), "--help", cwd=ROOT).ended(timeout=120)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page):
    links = [first or second for first, second in LINK.findall(FENCED.sub("", page.read_text()))]
    local = [link for link in links if not re.match(r"https?:|mailto:", link)]
    for link in local:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [command for command, options in sorted(OPTIONS.items()) if options],
)
def test_options_that_pages_show_are_in_the_help_of_the_command(command):
    shown = help_of(command)
    assert shown.returncode == 0, shown.stderr
    assert OPTIONS[command] <= set(re.findall(r"--[\w-]+", shown.stdout))


def test_commands_that_pages_show_are_files_of_the_project():
    files = [command.split()[0] for command in OPTIONS if not command.startswith("-m")]
    assert len(files) > 10
    assert not [file for file in files if not (ROOT / file).is_file()]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_every_module_and_name_of_the_architecture_page_is_there():
    page = (ROOT / "docs/architecture.md").read_text()
    files = re.findall(r"`([\w/]+\.(?:py|sh))`(?:, `(\w+)`)?(?: and `(\w+)`)?", page)
    assert len(files) > 60
    for name, *named in files:
        path = next((path for path in (ROOT / "deepfake" / name, ROOT / name) if path.is_file()), None)
        assert path, name
        text = path.read_text()
        assert all(re.search(rf"(def|class|^) ?{each}\b", text, re.MULTILINE) for each in named if each), (name, named)
