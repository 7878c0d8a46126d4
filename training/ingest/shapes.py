"""What the JSON of exports has in common.

Services add fields and write null where a field is absent, and ids come as numbers here and as strings there.
So unknown fields are passed over, null means absent, and a number is taken where a string is wanted.
A field of another kind than expected is still an error: the file is then not what it seems to be.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class ExportShape(BaseModel):
    """Base of the models that an export's JSON is read into."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: part for name, part in value.items() if part is not None}
        return value
