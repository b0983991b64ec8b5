"""Does an import: chunk after chunk, each with the place to go on from in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.errors import TransferFailed
from app.db.session import Transaction
from app.jobs.run import JobRun
from app.stores.transfers import TransferStore
from app.transfers.chunks import Chunk
from app.transfers.kinds import ImportFormat, TransferKind
from app.transfers.progress import ImportProgress, rejected_of
from app.transfers.reading import read_chunks
from app.transfers.results import LineResult, as_line
from app.transfers.writing import LineWriter, WritingParts


@dataclass(frozen=True)
class Importer:
    """Does imports.

    Attributes:
        parts: what writing needs.
        store: holds the files.
        line_limit_bytes: of a line.
    """

    parts: WritingParts
    store: TransferStore
    line_limit_bytes: int

    def run(self, run: JobRun) -> None:
        """Read the file to its end and finish the job.

        Raises:
            JobStopped: when the job shall leave off; what has been written stays, and is gone on from.
            TransferFailed: if the file is not there or is not what it should be.
        """
        progress = ImportProgress.model_validate(run.progress or {})
        try:
            file = self.store.open_import(run.project, run.payload["path"])
        except FileNotFoundError as error:
            raise TransferFailed("The file is not there any more.") from error
        writer = LineWriter(self.parts, run.project, TransferKind(run.payload["kind"]))
        with file:
            chunks = read_chunks(
                file,
                ImportFormat(run.payload["format"]),
                TransferKind(run.payload["kind"]),
                position=progress.position,
                next_line=progress.next_line,
                line_limit_bytes=self.line_limit_bytes,
            )
            for chunk in chunks:
                run.check()
                progress = self._write(run, writer, chunk, progress)
        with self.parts.database.transaction() as transaction:
            run.finish(transaction, {})
        if run.payload["uploaded"]:
            self.store.discard_upload(run.project, run.payload["path"])

    def _write(self, run: JobRun, writer: LineWriter, chunk: Chunk, before: ImportProgress) -> ImportProgress:
        after = before

        def note(transaction: Transaction, results: Sequence[LineResult]) -> None:
            nonlocal after
            after = before.after(chunk, results)
            rejects = b"".join(as_line(result.as_json()) for result in rejected_of(results))
            if rejects:
                # Before the commit: a worker that dies in between writes the very same again.
                self.store.write_rejects(run.project, run.id, chunk.lines[0].number, rejects)
            run.record_within(transaction, after.model_dump(mode="json"))

        writer.write(chunk.lines, also=note)
        return after
