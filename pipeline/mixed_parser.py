"""Arguments of which files and options may stand in any order, as users write them.

argparse gives a list of files only those that stand together: `evaluate BUNDLE --json LOG` fails.
"""

from __future__ import annotations

import argparse
from typing import Any


class MixedParser(argparse.ArgumentParser):
    """Parses intermixed arguments, but of commands that have commands of their own."""

    _is_within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of ArgumentParser. Before Python 3.12 it is called from within, too."""
        has_commands = any(action.nargs == argparse.PARSER for action in self._actions)
        if self._is_within or has_commands:
            return super().parse_known_args(args, namespace)
        self._is_within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_within = False
