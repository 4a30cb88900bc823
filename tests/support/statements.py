"""The SQL of the server: every statement constant of every storage module."""

import importlib
import pkgutil

from modelkeep import storage


def all_of_them() -> list[tuple[str, str]]:
    """Name and text of each."""
    found = []
    for module_info in pkgutil.iter_modules(storage.__path__):
        module = importlib.import_module(f"modelkeep.storage.{module_info.name}")
        found += [
            (f"{module_info.name}.{name}", value)
            for name, value in vars(module).items()
            if name.isupper()
            and isinstance(value, str)
            and value.lstrip().split(" ")[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
        ]
    return found
