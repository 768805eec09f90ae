"""Turns pydantic's findings into lines that a technician can act on: the field, the bad value, and a right one.

Not here: what is checked (`config.py` and each driver's `Config`).
"""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

MAX_SHOWN = 60  # characters of a bad value that are repeated to the reader
_USER_INFO = re.compile(r"//[^/@]*@")  # a password that somebody put into a URL all the same
SECRET_WORDS = ("password", "token", "secret", "key")  # a value under such a name is never repeated


def explain(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """Yield one line for each mistake, `field = bad value: why; right value`."""
    for detail in error.errors():
        yield _line(detail, model)


def _line(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if not detail["loc"]:
        return _reason(detail)
    name = str(detail["loc"][0])
    place = name + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in detail["loc"][1:])
    field = model.model_fields.get(name)
    match detail["type"]:
        case "missing":
            return f"{place}: missing; {_right(name, field)}"
        case "extra_forbidden":
            return f"{place}: no such field; {_nearest(name, model)}"
        case _:
            return f"{place} = {_shown(name, detail['input'])}: {_reason(detail)}; {_right(name, field)}"


def _reason(detail: ErrorDetails) -> str:
    text = detail["msg"].removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _nearest(name: str, model: type[BaseModel]) -> str:
    near = difflib.get_close_matches(name, model.model_fields, n=1)
    return f"did you mean {near[0]}?" if near else "there are: " + ", ".join(model.model_fields)


def _shown(name: str, value: Any) -> str:  # noqa: ANN401 - whatever TOML holds
    if any(word in name for word in SECRET_WORDS) and not name.endswith("_file"):
        return "(not shown)"
    text = _USER_INFO.sub("//...@", as_toml(value))
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def _right(name: str, field: FieldInfo | None) -> str:
    if field is None:
        return "see config/aisled.example.toml"
    if field.examples:
        return f"for example {name} = {as_toml(field.examples[0])}"
    if field.default not in (PydanticUndefined, None):
        return f"the default is {name} = {as_toml(field.default)}"
    return field.description or "see config/aisled.example.toml"


def as_toml(value: Any) -> str:  # noqa: ANN401 - whatever TOML holds
    """Return a value as one would write it in the file."""
    if isinstance(value, bool | int | float | str | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return json.dumps(str(value), ensure_ascii=False)
