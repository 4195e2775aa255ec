"""Deferred imports of a small package, declared as the patched VLMEvalKit declares them."""

from __future__ import annotations

import copy
import functools
import importlib
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from vldock.image.process import lazy_imports
from vldock.image.vlmeval_hooks.models import factories

ZOO = {
    "__init__.py": """
from vldock.image.process import lazy_imports as _lazy
_lazy.defer_imports(__name__, \"\"\"
from .cat import Cat
from .dog import Dog, Puppy as Small
from .ox import ox
from .torn import Torn
from .gone import Gone
\"\"\", before={"dog": "cat"})
own = 1
_lazy.defer_statements(__name__, \"\"\"
ALL = [Cat, Dog]
ALL += [Small]
NAMES = [one.__name__ for one in ALL]
\"\"\", known={"NAMES": lambda: KNOWN})
KNOWN = ["from the index"]
""",
    "cat.py": "class Cat:\n    def __init__(self, name='', lives=9):\n        self.name, self.lives = name, lives\n",
    "dog.py": "class Dog: pass\nclass Puppy: pass\n",
    "ox.py": "class ox: pass\n",
    "torn.py": "import sys\nsys.no_such_attribute\nclass Torn: pass\n",
    "gone.py": "import no_such_library\n",
    "more/__init__.py": "deep = True\n",
}
WHOLE = ("torn", "gone")


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """A function that writes and imports the package `zoo`, without the submodules that cannot be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(lazy_imports.VARIABLE, raising=False)

    def made(*, without: tuple[str, ...] = WHOLE, **files: str) -> ModuleType:
        for name, text in {**ZOO, **files}.items():
            (tmp_path / "zoo" / name).parent.mkdir(parents=True, exist_ok=True)
            kept = [
                line for line in text.splitlines() if not line.startswith(tuple(f"from .{one} " for one in without))
            ]
            (tmp_path / "zoo" / name).write_text("\n".join(kept))
        return importlib.import_module("zoo")

    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == "zoo"]:
        del sys.modules[name]
    lazy_imports._packages.pop("zoo", None)


def loaded() -> list[str]:
    return sorted(name.removeprefix("zoo.") for name in sys.modules if name.startswith("zoo."))


def test_a_name_is_imported_when_it_is_read_and_is_the_modules_own(make: Callable[..., ModuleType]) -> None:
    zoo = make()
    before = loaded()

    cat = zoo.Cat

    assert (before, loaded()) == ([], ["cat"])
    assert cat is sys.modules["zoo.cat"].Cat is zoo.Cat
    assert zoo.own == 1


def test_from_imports_find_names_their_new_names_and_submodules(make: Callable[..., ModuleType]) -> None:
    make()

    exec("from zoo import Small, cat, more", space := {})

    assert space["Small"].__name__ == "Puppy"
    assert (space["cat"].__name__, space["more"].deep) == ("zoo.cat", True)


def test_a_class_called_like_its_module_is_not_hidden_by_it(make: Callable[..., ModuleType]) -> None:
    zoo = make()

    importlib.import_module("zoo.ox")

    assert isinstance(zoo.ox, type)


def test_what_upstream_imports_earlier_is_imported_earlier(make: Callable[..., ModuleType]) -> None:
    zoo = make()

    assert zoo.Dog
    assert loaded() == ["cat", "dog"]


def test_put_off_statements_see_everything_and_run_once(make: Callable[..., ModuleType]) -> None:
    zoo = make()

    first = zoo.ALL

    assert [one.__name__ for one in first] == ["Cat", "Dog", "Puppy"]
    assert zoo.ALL is first
    assert zoo.NAMES == ["Cat", "Dog", "Puppy"]


def test_a_known_value_needs_no_import_and_stays(make: Callable[..., ModuleType]) -> None:
    zoo = make()

    names, unloaded = zoo.NAMES, loaded()
    lazy_imports.import_all()

    assert (names, unloaded) == (["from the index"], [])
    assert zoo.NAMES is names


def test_a_value_not_known_after_all_is_computed(make: Callable[..., ModuleType]) -> None:
    zoo = make()
    zoo.KNOWN = None

    assert zoo.NAMES == ["Cat", "Dog", "Puppy"]


def test_a_star_import_binds_everything(make: Callable[..., ModuleType]) -> None:
    make()

    exec("from zoo import *", space := {})

    assert {"Cat", "Dog", "Small", "ox", "own", "ALL", "NAMES"} <= set(space)
    assert isinstance(space["ox"], type)


def test_dir_names_what_was_put_off(make: Callable[..., ModuleType]) -> None:
    assert {"Cat", "Small", "ALL", "own"} <= set(dir(make()))
    assert loaded() == []


def test_a_name_that_is_not_there_is_an_attribute_error(make: Callable[..., ModuleType]) -> None:
    zoo = make()

    with pytest.raises(AttributeError, match="'zoo' has no attribute 'Dodo'"):
        _ = zoo.Dodo
    assert not hasattr(zoo, "__all__")


@pytest.mark.parametrize(("name", "cause"), [("Torn", "no_such_attribute"), ("Gone", "no_such_library")])
def test_what_stops_an_import_shows_and_shows_again(make: Callable[..., ModuleType], name: str, cause: str) -> None:
    make(without=())

    for _ in range(2):
        with pytest.raises(ImportError, match=cause):
            exec(f"from zoo import {name}", {})


def test_other_statements_than_relative_imports_are_refused(make: Callable[..., ModuleType]) -> None:
    zoo = make()

    for statement in ("import os", "from os import path", "from .cat import *", "Cat = 1"):
        with pytest.raises(TypeError, match="can be put off"):
            lazy_imports.defer_imports(zoo.__name__, statement)


def test_the_variable_imports_everything_at_once(
    make: Callable[..., ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lazy_imports.VARIABLE, "1")

    zoo = make()

    assert loaded() == ["cat", "dog", "ox"]
    assert type(zoo) is ModuleType
    assert factories.import_references("zoo") == (zoo, functools.partial)


def test_a_factory_shows_its_arguments_and_imports_for_its_class(make: Callable[..., ModuleType]) -> None:
    make()
    zoo, partial = factories.import_references("zoo")

    factory = partial(zoo.Cat, "Tom", lives=7)

    assert (factory.args, factory.keywords, loaded()) == (("Tom",), {"lives": 7}, [])
    assert factory.func is sys.modules["zoo"].Cat
    assert isinstance(factory, functools.partial)
    assert repr(factory) == "functools.partial(<class 'zoo.cat.Cat'>, 'Tom', lives=7)"


def test_a_factory_constructs_with_its_arguments_and_the_callers(make: Callable[..., ModuleType]) -> None:
    make()
    zoo, partial = factories.import_references("zoo")

    cat = partial(zoo.Cat, "Tom", lives=7)(lives=3)

    assert (type(cat).__name__, cat.name, cat.lives) == ("Cat", "Tom", 3)


def test_a_copy_of_a_factory_is_its_own_and_a_pickle_is_a_plain_partial(make: Callable[..., ModuleType]) -> None:
    make()
    zoo, partial = factories.import_references("zoo")
    factory = partial(zoo.Cat, lives=7)

    other = copy.deepcopy(factory)
    other.keywords["lives"] = 1
    unloaded = loaded()
    again = pickle.loads(pickle.dumps(factory))

    assert (factory.keywords, unloaded) == ({"lives": 7}, [])
    assert (type(again), again.func, again.keywords) == (functools.partial, factory.func, {"lives": 7})


def test_a_name_the_package_has_itself_is_no_reference(make: Callable[..., ModuleType]) -> None:
    make()
    zoo, _ = factories.import_references("zoo")

    assert zoo.own == 1
    with pytest.raises(AttributeError, match="Dodo"):
        _ = zoo.Dodo


def test_a_borrowed_table_ends_with_the_real_names(make: Callable[..., ModuleType]) -> None:
    zoo = make()
    table = ModuleType("zoo.table")
    sys.modules["zoo.table"] = table

    factories.insert_references("zoo.table", "zoo")
    exec("entries = {'tom': partial(Cat, 'Tom')}", vars(table))
    factories.remove_references("zoo.table", "zoo")

    assert loaded() == ["table"]
    assert (table.entries["tom"].func, table.Cat, table.partial) == (zoo.Cat, zoo.Cat, functools.partial)
