"""`mmats engine`: the engine process alone; `mmats up` starts it with all that belongs to it."""

from pathlib import Path

import click

from mmats.cli.console import err, print_error
from mmats.config import load_config
from mmats.config.load import read_toml
from mmats.model.profile import PROFILES, Profile

EXIT_FAULT = 1  # trading had to end; bad input is 2


@click.command(hidden=True)
@click.option("--config", type=click.Path(path_type=Path), required=True, help="TOML file.")
@click.option("--profile", type=click.Choice(PROFILES), help="Default: the configuration's.")
@click.option("--home", type=click.Path(path_type=Path), help="Folder of all profiles.")
def engine(config: Path, profile: str | None, home: Path | None) -> None:
    """Run the engine of CONFIG in the foreground until SIGTERM or `mmats down`."""
    from mmats.engine.process import Engine
    from mmats.engine.session import EngineFault

    loaded = load_config(config)
    place = Profile.of(profile or loaded.profile, home)
    try:
        Engine(loaded, place, read_toml(config), tell).trade()
    except EngineFault as error:
        print_error(error)
        raise SystemExit(EXIT_FAULT) from error


def tell(text: str) -> None:
    """Show a line to whoever started the engine."""
    err().print(text, markup=False)
