"""Which nodes there are, and what each admits while they are cut off."""

from crossdock.limits.nodes import MOST, SILENT_S, Nodes

LONG = SILENT_S + 0.1


def together(now: float = 0.0, others: int = 2) -> Nodes:
    """Return a node that has heard of others, and of itself."""
    nodes = Nodes(now)
    for number in range(others):
        nodes.hear(f"{number:016x}", now)
    nodes.come_back(now, now)
    return nodes


def test_a_node_on_its_own_has_all_of_every_limit() -> None:
    nodes = Nodes(0.0)

    assert (nodes.count(), nodes.share(0.0)) == (1, 1)


def test_while_nodes_hear_of_each_other_each_has_all_of_every_limit() -> None:
    nodes = together()

    assert (nodes.count(), nodes.share(1.0)) == (3, 1)


def test_a_node_that_is_cut_off_keeps_to_its_share() -> None:
    nodes = together()

    assert nodes.is_away(LONG)
    assert (nodes.count(), nodes.share(LONG)) == (3, 3)
    assert nodes.share(LONG + 1000) == 3


def test_a_node_that_falls_silent_is_not_counted_any_more() -> None:
    nodes = together()
    for now in (1.0, LONG):
        nodes.hear("0" * 16, now)
        nodes.come_back(now, now)

    assert (nodes.count(), nodes.share(LONG)) == (2, 1)


def test_others_that_spoke_a_little_earlier_are_not_forgotten_with_the_broker() -> None:
    nodes = together(0.0)
    nodes.come_back(0.04, 0.04)

    for now in (0.5, 1.5, 2.01, 2.039, 2.05, 60.0):
        assert nodes.count() == 3
        assert nodes.share(now) == (3 if now > 2.04 else 1)


def test_what_comes_back_late_is_no_proof_that_the_broker_is_there() -> None:
    nodes = together()

    nodes.come_back(sent_at=0.0, now=LONG)

    assert nodes.is_away(LONG)
    assert nodes.share(LONG) == 3


def test_after_a_time_alone_the_others_are_given_time_to_come_back() -> None:
    nodes = together()
    assert nodes.share(100.0) == 3

    nodes.come_back(100.0, 100.0)
    assert nodes.share(100.0) == 1
    assert nodes.share(100.0 + LONG) == 3, "it was cut off again before they were heard"

    nodes.come_back(200.0, 200.0)
    for now in (201.0, 202.0, 203.0):
        nodes.come_back(now, now)
    assert nodes.count() == 1, "they had their time"


def test_a_new_speaker_of_a_node_that_is_cut_off_goes_on_with_its_share() -> None:
    nodes = Nodes(0.0)
    nodes.take_over(3, 0.0)

    assert nodes.share(0.5) == 3
    assert nodes.share(LONG) == 3
    nodes.come_back(4.0, 4.0)
    assert nodes.share(4.0) == 1


def test_nobody_can_name_nodes_without_number() -> None:
    nodes = Nodes(0.0)
    for number in range(2 * MOST):
        nodes.hear(f"{number:016x}", 0.0)

    assert nodes.count() == MOST + 1


def test_a_clock_of_the_future_makes_nothing_fresher_than_now() -> None:
    nodes = together()

    nodes.come_back(sent_at=1e9, now=1.0)

    assert nodes.is_away(1.0 + LONG)
