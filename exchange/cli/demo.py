"""`yizhan demo`: a city in a box, its story, and moving its world."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console

from exchange.airflow import Airflow
from exchange.cli.start import interrupt_on_signals
from exchange.demo import chapters, departments, sale
from exchange.demo.clients import HALL, credentials
from exchange.demo.running import Demo, running
from exchange.demo.story import Story
from exchange.settings import Settings
from exchange.supervisor import Supervisor
from schemas.errors import NotFound, YizhanError

app = typer.Typer(no_args_is_help=True)
console = Console()


@app.command()
def run(
    people: Annotated[int, typer.Option(min=100, help="How many residents the city has.")] = 100000,
    licenses: Annotated[int, typer.Option(min=2, help="How many licenses to issue.")] = 300,
    seed: Annotated[int, typer.Option(help="The number the city is made from.")] = 20261122,
    once: Annotated[
        bool, typer.Option("--once", help="End by itself, with status 0 or 1.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Go on with the city of last time.")] = False,
) -> None:
    """Start a synthetic city and the product beside it, and tell what happens."""
    home = demo_home()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    interrupt_on_signals()

    def say(line: str) -> None:
        console.print(f"[dim]{line}[/dim]", highlight=False)

    try:
        with running(home, people=people, licenses=licenses, seed=seed, say=say, keep=keep) as demo:
            story = Story(home, console, goes_on=keep)
            _tell(demo, story, licenses, fresh=not keep)
            _say_where(demo)
            if once:
                raise typer.Exit(1 if story.failures else 0)
            signal.pause()
    except KeyboardInterrupt:
        console.print("stopped; everything is ended")
        raise typer.Exit(0) from None


@app.command("sell-house")
def sell_house() -> None:
    """Sell a house in the real-estate department's own system, and watch what follows."""
    home = demo_home()
    if not (home / "story.json").exists():
        raise NotFound(f"no demo runs in {home}; start one in another terminal with `make demo`")
    settings = Settings.load(home)
    opened = departments.found(home)
    demo = Demo(Supervisor(home, console.print), settings, Airflow.found(settings), opened)
    story = Story(home, console, goes_on=True)
    sale.watch(demo, story)
    raise typer.Exit(1 if story.failures else 0)


@app.command()
def stop() -> None:
    """Stop a demo that runs elsewhere, and whatever one that was killed left behind."""
    home = demo_home()
    lock = home / "run" / "supervisor.lock"
    text = lock.read_text() if lock.exists() else ""
    if text.isdigit() and psutil.pid_exists(int(text)) and int(text) != os.getpid():
        process = psutil.Process(int(text))
        if "demo" in process.cmdline():
            process.terminate()
            process.wait(60)
    if home.exists():
        with Supervisor(home, console.print):
            pass


def demo_home() -> Path:
    """Where the demo keeps everything: YIZHAN_HOME, or .yizhan/demo."""
    return Path(os.environ.get("YIZHAN_HOME", ".yizhan/demo")).resolve()


def _tell(demo: Demo, story: Story, licenses: int, *, fresh: bool) -> None:
    if not fresh:
        story.chapter("继续上次的演示 · Going on with the city of last time")
        return
    try:
        chapters.collected(demo, story)
        chapters.sealed(demo, story, licenses)
        chapters.asked(demo, story)
        chapters.resolved(demo, story)
        chapters.verified(demo, story)
    except YizhanError as err:
        story.check(False, f"{err.code}: {err.message}")


def _say_where(demo: Demo) -> None:
    hall = credentials(demo.settings.home, HALL)
    console.print(
        f"\nhub         {demo.settings.public_url}\nAirflow     {demo.airflow.url}\n"
        f"credentials {hall}\n"
        "sell a house from another terminal: .venv/bin/yizhan demo sell-house",
        highlight=False,
    )
    console.print("Ctrl-C ends everything.", style="dim")
