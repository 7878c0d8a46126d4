"""Every error of personae that a user or an operator may see.

    PersonaeError
    ├── ConfigError             config_invalid       personae.toml, the environment, a command's arguments
    ├── PersonaFileError        persona_invalid      a persona.toml; carries all its problems
    ├── RequestError            bad_request          the caller sent something unusable
    │   ├── EmptyText           empty_text
    │   ├── TextTooLong         text_too_long
    │   ├── UnknownPersona      unknown_persona      carries the nearest names
    │   ├── UnknownRoute        not_found
    │   ├── DraftInvalid        draft_invalid        a new persona can't be made so; carries all its problems
    │   ├── PersonaTaken        persona_taken        there is one of that id
    │   ├── PersonaFixed        persona_fixed        it was not made here, so it is not changed here
    │   ├── UploadRefused       upload_refused       a file that is not taken
    │   ├── JobRefused          job_refused          another job is in its way
    │   ├── UnknownJob          unknown_job
    │   └── Unauthorized        unauthorized
    ├── AdapterError            adapter_rejected     files, hashes, base model or prompt do not fit
    │   ├── UnknownVersion      unknown_version
    │   └── NothingToRollBack   no_previous_version
    ├── EngineUnavailable       engine_unavailable   the model server is starting, gone or broken
    │   ├── GatewayRestarting   gateway_restarting   this gateway is being stopped; another may answer
    │   └── GatewayUnreachable  gateway_unreachable  raised by clients: nobody answers at its address
    ├── Busy                    busy                 over capacity; carries a time to retry
    ├── DeadlineExceeded        deadline_exceeded
    ├── CorpusError             corpus_invalid       documents or index missing, damaged or of another make
    ├── ModelError              model_invalid        a base model or embedder is missing or damaged
    ├── DiskFull                disk_full
    ├── LedgerUnavailable       ledger_unavailable   the database of versions can't be read or written
    ├── StateUnavailable        state_unavailable    the bots' database can't be read or written
    ├── PortInUse               port_in_use
    └── InternalError           internal_error       a defect of ours; details are in the log only

On the wire: `{"error": {"code": "unknown_persona", "message": "There is no persona …",
"retry_after_seconds": null}}`. `message` is always a sentence fit for the person who asked, and says
what to do; when to come back is in `retry_after_seconds`, and whoever shows it adds the words.
Clients rebuild the class from the code with `from_wire`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar


class PersonaeError(Exception):
    """Root of the tree. `str(error)` is the sentence for the person."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds

    def to_wire(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "retry_after_seconds": self.retry_after_seconds,
        }


class ConfigError(PersonaeError):
    code = "config_invalid"
    http_status = 500


class PersonaFileError(PersonaeError):
    """A persona.toml that cannot be used. `problems` holds one sentence for each thing wrong."""

    code = "persona_invalid"
    http_status = 500

    def __init__(self, path: object, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{path} has {count}:\n{lines}")


class RequestError(PersonaeError):
    code = "bad_request"
    http_status = 400


class EmptyText(RequestError):
    code = "empty_text"


class TextTooLong(RequestError):
    code = "text_too_long"
    http_status = 413


class UnknownPersona(RequestError):
    code = "unknown_persona"
    http_status = 404


class UnknownRoute(RequestError):
    code = "not_found"
    http_status = 404


class Unauthorized(RequestError):
    code = "unauthorized"
    http_status = 401


class DraftInvalid(RequestError):
    """A draft of a persona that can't be used. `problems` holds (field, sentence)."""

    code = "draft_invalid"
    http_status = 422

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = list(problems)
        lines = "\n".join(
            f"  - {field}: {sentence}" if field else f"  - {sentence}"
            for field, sentence in self.problems
        )
        super().__init__(f"The persona can't be made so:\n{lines}")

    def to_wire(self) -> dict[str, Any]:
        problems = getattr(self, "problems", [])  # none where it came over the wire itself
        listed = [{"field": field, "message": sentence} for field, sentence in problems]
        return {**super().to_wire(), "problems": listed}


class PersonaTaken(RequestError):
    code = "persona_taken"
    http_status = 409


class PersonaFixed(RequestError):
    code = "persona_fixed"
    http_status = 409


class UploadRefused(RequestError):
    code = "upload_refused"
    http_status = 422


class JobRefused(RequestError):
    code = "job_refused"
    http_status = 409


class UnknownJob(RequestError):
    code = "unknown_job"
    http_status = 404


class AdapterError(PersonaeError):
    code = "adapter_rejected"
    http_status = 409


class UnknownVersion(AdapterError):
    code = "unknown_version"
    http_status = 404


class NothingToRollBack(AdapterError):
    code = "no_previous_version"


class EngineUnavailable(PersonaeError):
    code = "engine_unavailable"
    http_status = 503


class GatewayRestarting(EngineUnavailable):
    code = "gateway_restarting"


class GatewayUnreachable(EngineUnavailable):
    code = "gateway_unreachable"


class Busy(PersonaeError):
    code = "busy"
    http_status = 429


class DeadlineExceeded(PersonaeError):
    code = "deadline_exceeded"
    http_status = 504


class CorpusError(PersonaeError):
    code = "corpus_invalid"
    http_status = 500


class ModelError(PersonaeError):
    code = "model_invalid"
    http_status = 500


class DiskFull(PersonaeError):
    code = "disk_full"
    http_status = 507


class LedgerUnavailable(PersonaeError):
    code = "ledger_unavailable"
    http_status = 503


class StateUnavailable(PersonaeError):
    code = "state_unavailable"
    http_status = 503


class PortInUse(PersonaeError):
    code = "port_in_use"
    http_status = 500


class InternalError(PersonaeError):
    code = "internal_error"
    http_status = 500


def all_errors(root: type[PersonaeError] = PersonaeError) -> Iterator[type[PersonaeError]]:
    """Every class of the tree below `root`."""
    for child in root.__subclasses__():
        yield child
        yield from all_errors(child)


def from_wire(error: Mapping[str, Any]) -> PersonaeError:
    """The exception for a wire error object; an unknown code becomes InternalError."""
    kinds = {kind.code: kind for kind in all_errors()}
    kind = kinds.get(str(error.get("code")), InternalError)
    message = str(error.get("message") or "The gateway reported an error without a message.")
    retry_after = error.get("retry_after_seconds")
    built = kind.__new__(kind)
    PersonaeError.__init__(
        built,
        message,
        retry_after_seconds=float(retry_after) if retry_after is not None else None,
    )
    return built
