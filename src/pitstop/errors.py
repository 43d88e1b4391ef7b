"""Every error that Pitstop raises on purpose, in one tree.

A message says what was got, what was expected and what to do about it. Callers branch on the type,
never on the text.
"""

from __future__ import annotations


class PitstopError(Exception):
    """Base of all deliberate errors. The command line prints it without a traceback and exits with 2."""


class SpecError(PitstopError):
    """The specification (`pitstop.toml`) is not usable: unknown key, wrong type, contradiction."""


class RecordError(PitstopError):
    """A table of rows cannot be used as it is. Nothing of it was written."""


class UnreadableTableError(RecordError):
    """A file or object cannot be read as a table: missing, corrupt, truncated, unknown format or encoding."""


class MissingColumnError(RecordError):
    """A column that the specification names is not in the table."""


class EmptyTableError(RecordError):
    """A table has no rows, or too few for what was asked of it."""


class ColumnValueError(RecordError):
    """A column holds values that its role does not allow; the message names the column and the first row."""


class DuplicateIdError(RecordError):
    """An id stands for two different rows."""


class StatisticError(PitstopError):
    """Statistics were combined that do not belong together (other bins, other layout)."""


class OverlapError(StatisticError):
    """Two models differ on rows whose labels had no chance to be revealed, so labels cannot compare them."""


class EngineError(PitstopError):
    """An engine cannot count: its library or cluster is not there, or failed."""


class BaselineError(PitstopError):
    """A baseline cannot be fitted or does not fit the profile that it was asked about."""


class TrainingError(PitstopError):
    """A training or scoring run gave nothing usable. The champion is untouched."""


class TrainerCrashedError(TrainingError):
    """The trainer's process ended by itself with a failure or was killed."""


class RecipeError(SpecError):
    """A recipe asks for what its trainer or task cannot do, or for a package that is not installed."""


class TrainerLimitError(TrainingError):
    """The trainer's process was stopped because it passed its limit of time, memory, disk or output."""


class TrainerRefusedError(TrainingError):
    """A built-in trainer cannot fit what it was given: one class only, labels missing, an unknown kind."""


class TrainerOutputError(TrainingError):
    """The trainer's answer is not what was asked for (rows missing, NaN, unparsable, wrong type)."""


class StrategyError(PitstopError):
    """Losses, prices or schedules do not belong together, so no decision can be made from them."""


class LedgerError(PitstopError):
    """A posting is refused: another currency, a settlement of what was never booked, an amount that is no amount."""


class ReleaseError(PitstopError):
    """A release is refused: the model is champion already, nothing good is left to roll back to, time goes back."""


class ReleaseTargetError(PitstopError):
    """A model could not be published, or what serves is not what was published. The release itself stands."""


class TargetRefusedError(ReleaseTargetError):
    """A release target answered no: `status` is the HTTP code and `said` the beginning of its answer."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status = status
        self.said = said


class PackError(PitstopError):
    """A policy pack is not usable: unknown key, wrong type, an obligation twice."""


class StatementError(PitstopError):
    """A statement is refused: nobody signs it, the person may not say it, there is nothing that it is about."""


class EvidenceError(PitstopError):
    """An evidence pack cannot be made or read: no manifest, a library for PDF is missing, a folder that is in use."""


class StoreError(PitstopError):
    """The store cannot do what was asked: not a store, made by a newer version, disk full, locked."""


class StoreBusyError(StoreError):
    """Another process is working in this home."""


class StoreUnavailableError(StoreError):
    """A database does not answer at the moment; the same may be asked again."""


class JournalError(PitstopError):
    """The journal does not verify: an entry, its order or its root is not what was recorded."""


class ExportError(PitstopError):
    """A copy of the journal could not be put where it is to be kept. The journal itself stands, and is tried again."""


class ErasedError(PitstopError):
    """What was asked for was destroyed on request: the key of the person whom it is about is gone."""


class UnknownNameError(PitstopError):
    """A name (monitor, policy, trainer, recipe, model) is not registered; the message lists the known ones."""


class PluginError(PitstopError):
    """An installed extension cannot be loaded. What Pitstop brings itself goes on once it is mended or uninstalled."""


class AccessError(PitstopError):
    """Somebody may not do what they ask for, or the service may not be opened to others as it is set up."""


class ReportError(PitstopError):
    """A report or picture cannot be made from what it was given."""


class IngestError(PitstopError):
    """A batch was not acknowledged. The sender keeps it and hands it over again: an id makes that harmless."""


class OverloadedError(IngestError):
    """More came than could be stored yet. `retry_after`: seconds after which it is worth trying again."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SpoolError(IngestError):
    """The spool cannot be written: disk full, read-only, a failing disk. It is tried again with the next batch."""


class TooLargeError(RecordError):
    """A batch passes a limit of bytes, rows, columns or cells, as sent or once it is unpacked."""
