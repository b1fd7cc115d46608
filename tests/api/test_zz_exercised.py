"""Runs last: by now every operation of openapi.yaml has been called, and every status it declares has been seen."""


def test_every_declared_answer_was_seen(service):
    missing = service.contract.never_seen()
    assert not missing, "declared in openapi.yaml, never answered in this run: " + ", ".join(missing)
