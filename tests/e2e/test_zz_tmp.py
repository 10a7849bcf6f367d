import time
from tests.e2e.processes import run


def test_tmp(running):
    (deal,) = running.vendors.overdue_deals(1)
    running.door.hubspot(running.vendors.edit(deal, amount="9100"))
    time.sleep(6)
    print(run(running.ledger.urls, "trace", deal).stdout)
    for r in running.ledger.rows("select what, count(*) n from trail group by 1 order by 2 desc"):
        print(r)
    for r in running.ledger.rows(
        "select what, detail from trail where what in ('retry','parked','swept') order by at desc limit 6"
    ):
        print(r)
    for r in running.ledger.rows("select queue,state,count(*) n from signals where queue is not null group by 1,2"):
        print(r)
    for log in running.logs.glob("worker*.log"):
        print(log.name)
        print(log.read_text()[-1500:])
    assert running.ledger.actions_of([deal])[0]["state"] == "done"
