"""Vectors from a file and those from PostgreSQL are the same, whatever has happened to either."""

import os
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from app.core.types import ProjectId, VersionId
from app.recommendations import matrix_repository, matrix_store
from app.recommendations.matrix_repository import MatrixRepository
from app.recommendations.matrix_store import MatrixStore
from app.recommendations.state import ProjectState, ServingPolicy, TrendingPolicy
from tests.fixtures.experiments import run_experiment
from tests.fixtures.service import Service
from tests.fixtures.trained import ITEMS, put_item


class Machine:
    """API processes that share a folder."""

    def __init__(self, service: Service, root: Path) -> None:
        self.service = service
        self.root = root

    def process(self, *, shares: bool = True) -> ProjectState:
        database = self.service.context.database
        state = ProjectState(
            self.service.project,
            database=database,
            artifacts=self.service.context.artifacts,
            trending=TrendingPolicy(half_life_s=1.0, window_events=10, refresh_s=0.0),
            serving=ServingPolicy(MatrixStore(self.root, database) if shares else None),
        )
        look(state)
        return state

    @property
    def file(self) -> Path:
        (found,) = self.root.glob("*/*.matrix")
        return found

    def execute(self, statement: str) -> None:
        with self.service.context.database.transaction() as transaction:
            transaction.session.connection().exec_driver_sql(statement)


@pytest.fixture
def machine(trained: Service, tmp_path: Path) -> Machine:
    return Machine(trained, tmp_path / "matrices")


def look(state: ProjectState) -> None:
    state.accept(state.look())


def vectors_of(state: ProjectState, version: str) -> dict[str, tuple[list[float], dict[str, float]]]:
    vectors = state.versions[version].vectors
    assert len(vectors) == len(state.catalogue)
    return {
        state.catalogue.ids[row]: (vectors.values[row].tolist(), vectors.shares(row))
        for row in np.flatnonzero(vectors.present)
    }


def is_mapped(state: ProjectState, version: str = "v1") -> bool:
    return type(base_of(state.versions[version].vectors.values)).__name__ == "mmap"


def base_of(array: object) -> object:
    while isinstance(array, np.ndarray | memoryview):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array


def agree(machine: Machine, *states: ProjectState) -> None:
    plain = machine.process(shares=False)
    assert not any(is_mapped(plain, name) for name in plain.versions)
    for state in states:
        assert state.versions.keys() == plain.versions.keys()
        for name in plain.versions:
            assert vectors_of(state, name) == vectors_of(plain, name)


def test_the_first_process_makes_the_file_and_all_map_it(machine: Machine) -> None:
    first = machine.process()
    made = machine.file.stat()
    second = machine.process()
    assert is_mapped(first)
    assert is_mapped(second)
    assert (machine.file.stat().st_ino, machine.file.stat().st_size) == (made.st_ino, made.st_size)
    agree(machine, first, second)


def test_a_later_process_catches_up_with_what_the_file_has_not(machine: Machine) -> None:
    first = machine.process()
    made = machine.file.stat().st_ino
    put_item(machine.service, "new", "harbour")
    put_item(machine.service, "i3", "something else")
    machine.service.run_jobs()
    second = machine.process()
    look(first)
    assert machine.file.stat().st_ino == made
    assert is_mapped(first)
    assert is_mapped(second)
    assert "new" in vectors_of(second, "v1")
    agree(machine, first, second)


def test_an_item_less_makes_another_order_and_a_new_file(machine: Machine) -> None:
    first = machine.process()
    made = machine.file.stat().st_ino
    machine.service.client.delete("/items/i5")
    second = machine.process()
    assert machine.file.stat().st_ino != made
    look(first)
    assert is_mapped(second)
    agree(machine, first, second)


def test_a_running_process_in_another_order_leaves_the_file_to_others(machine: Machine) -> None:
    machine.service.train(promote="never")
    running = machine.process()
    machine.service.client.delete("/items/i5")
    look(running)
    machine.service.client.post("/admin/models/v2/promote")
    young = machine.process()
    made = {path: path.stat().st_ino for path in machine.root.glob("*/*.matrix")}
    look(running)
    assert is_mapped(young, "v2")
    assert not is_mapped(running, "v2")
    assert {path: path.stat().st_ino for path in made} == made
    agree(machine, running, young)


def test_a_promoted_version_is_mapped_beside_a_catalogue_that_is_there(machine: Machine) -> None:
    running = machine.process()
    put_item(machine.service, "new", "harbour")
    machine.service.run_jobs()
    look(running)
    put_item(machine.service, "newer", "boat")
    machine.service.run_jobs()
    machine.service.train(promote="always")
    look(running)
    assert is_mapped(running, "v2")
    agree(machine, running, machine.process())


def test_versions_of_experiments_are_mapped_too(machine: Machine) -> None:
    machine.service.train(promote="never")
    run_experiment(machine.service, "v1", "v2")
    state = machine.process()
    assert is_mapped(state, "v1")
    assert is_mapped(state, "v2")
    agree(machine, state)


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign", "no file at all"])
def test_a_damaged_file_is_made_anew(machine: Machine, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.process()
    made = machine.file.stat().st_ino
    match damage:
        case "cut":
            os.truncate(machine.file, 5_000)
        case "changed":
            raw = bytearray(machine.file.read_bytes())
            raw[4_100] ^= 1
            machine.file.write_bytes(raw)
        case "foreign":
            monkeypatch.setattr(MatrixRepository, "origin", lambda self: "another database")
        case _:
            keep = machine.file.rename(machine.file.with_suffix(".old"))
            assert keep.exists()
    state = machine.process()
    assert is_mapped(state)
    assert machine.file.stat().st_ino != made
    agree(machine, state)


def test_a_file_older_than_the_history_is_made_anew(machine: Machine) -> None:
    machine.process()
    made = machine.file.stat().st_ino
    machine.execute("INSERT INTO catalogue_horizons SELECT id, pg_current_xact_id() FROM projects")
    machine.process()
    assert machine.file.stat().st_ino != made


def test_a_file_that_much_has_changed_since_is_made_anew(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    # A vector that was replaced counts twice: as one that was written, and as one that went.
    monkeypatch.setattr(matrix_store, "LARGE_CHANGE", 4)
    machine.process()
    made = machine.file.stat().st_ino
    for number in range(2):
        put_item(machine.service, f"i{number}", "changed")
    machine.service.run_jobs()
    agree(machine, machine.process())
    assert machine.file.stat().st_ino == made
    for number in range(4):
        put_item(machine.service, f"i{number}", "changed again")
    machine.service.run_jobs()
    agree(machine, machine.process())
    assert machine.file.stat().st_ino != made


def test_a_database_put_back_behind_the_file_is_noticed(machine: Machine) -> None:
    machine.process()
    # As in a copy of the cluster from before: the vector is not there, and nothing tells that it ever was.
    machine.execute("ALTER TABLE item_vectors DISABLE TRIGGER ALL")
    machine.execute("DELETE FROM item_vectors WHERE item_pk = (SELECT id FROM items WHERE item_id = 'i4')")
    state = machine.process()
    assert "i4" not in vectors_of(state, "v1")
    assert not is_mapped(state)
    assert not list(machine.root.glob("*/*.matrix"))
    agree(machine, state, machine.process())


def test_without_a_folder_to_write_every_process_has_its_own(machine: Machine) -> None:
    machine.root.write_text("a file")
    state = machine.process()
    assert not is_mapped(state)
    agree(machine, state)


def test_on_a_full_disk_every_process_has_its_own(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, place: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    state = machine.process()
    assert not is_mapped(state)
    agree(machine, state)


def test_processes_that_start_together_make_one_file(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    fill = MatrixRepository.fill

    def slowly(self: MatrixRepository, *values: object) -> None:
        made.append(values)
        time.sleep(0.1)
        fill(self, *values)  # type: ignore[arg-type]

    monkeypatch.setattr(MatrixRepository, "fill", slowly)
    states: list[ProjectState] = []
    threads = [threading.Thread(target=lambda: states.append(machine.process())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert [is_mapped(state) for state in states] == [True] * 4


def test_files_that_nobody_needs_go(machine: Machine) -> None:
    machine.process()
    kept = machine.file
    folder, young = kept.parent, time.time()
    for name, age_s in {"98.matrix": 7_200, "99.matrix": 0, "98.lock": 7_200, ".1.matrix.123": 7_200}.items():
        (folder / name).touch()
        os.utime(folder / name, (young - age_s, young - age_s))
    os.utime(kept, (young - 7_200, young - 7_200))
    MatrixStore(machine.root, machine.service.context.database).keep_only(
        machine.service.project, [VersionId(int(kept.stem))]
    )
    assert {path.name for path in folder.iterdir()} == {kept.name, f"{kept.stem}.lock", "99.matrix"}
    MatrixStore(machine.root, machine.service.context.database).keep_only(ProjectId(9), [])


def test_many_blocks_and_vectors_of_another_length(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_repository, "BLOCK_BYTES", 100)
    agree(machine, machine.process())
    machine.execute("UPDATE item_vectors SET vector = substr(vector, 5)")
    machine.file.unlink()
    with pytest.raises(ValueError, match="another length"):
        machine.process()


def test_whatever_happens_all_processes_agree(machine: Machine) -> None:
    choose = random.Random(5)
    processes = [machine.process()]
    for step in range(12):
        match choose.choice(["put", "put", "change", "delete", "start", "look"]):
            case "put":
                put_item(machine.service, f"new{step}", f"boat {step}")
            case "change":
                put_item(machine.service, f"i{choose.randrange(ITEMS)}", f"changed {step}")
            case "delete":
                machine.service.client.delete(f"/items/i{choose.randrange(ITEMS)}")
            case "start":
                processes.append(machine.process())
            case _:
                look(choose.choice(processes))
        if choose.random() < 0.5:
            machine.service.run_jobs()
    for process in processes:
        look(process)
    agree(machine, *processes)
