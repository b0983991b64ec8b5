from app.core.media_limits import MediaLimits
from app.core.types import ProjectId
from app.db.session import Database
from app.items.intake import MediaIntake
from app.items.schemas import ItemFields
from app.items.service import ItemService
from app.jobs.service import JobService
from app.projects.service import ProjectService
from app.stores.blobs import MemoryBlobStore
from app.stores.changes import MemoryChangeFeed
from app.stores.queue import MemoryQueue


def test_without_a_text_encoder_a_title_is_only_a_title(database_url: str) -> None:
    database = Database(database_url)
    queue, blobs = MemoryQueue(), MemoryBlobStore()
    with database.transaction() as transaction:
        project: ProjectId = ProjectService(transaction).ensure_project("pictures")
        service = ItemService(
            transaction,
            project,
            jobs=JobService(transaction, queue),
            intake=MediaIntake(blobs, limits=MediaLimits(), kinds={"image": "image"}),
            changes=MemoryChangeFeed(),
        )
        item, created = service.put("a", ItemFields(title="A boat"))
    database.close()
    assert created
    assert item.title == "A boat"
    assert item.media == {}
    assert (queue.sent, blobs.blobs) == ([], {})
