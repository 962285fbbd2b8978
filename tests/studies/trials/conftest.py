import pytest

from hnas.studies.trials.database import open_storage
from hnas.studies.trials.study import open_study
from tests.support.one_trial import url_of, write


@pytest.fixture
def url(tmp_path):
    """Of a storage with the study `s` of one trial."""
    url = url_of(tmp_path / "study.db")
    write(open_study(open_storage(url, create=True), "s", create=True))
    return url
