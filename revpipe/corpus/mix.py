"""What a corpus is made of, and why: the events of a mid-sized HubSpot portal over two weeks, of a thousand."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of signal: how many of a thousand, what it is, and why so many."""

    name: str
    share: int
    what: str
    why: str


KINDS: Final = (
    Kind("contact_property", 260, "a contact's phone, address, lead status …", "most records of a CRM are contacts"),
    Kind("deal_property", 170, "a deal's description, type, priority …", "reps keep notes in properties all day"),
    Kind("import", 130, "contacts and companies set by an import", "a list or two a week, hundreds of rows at once"),
    Kind("account_property", 90, "a company's size, industry, phone …", "mostly from automatic data enrichment"),
    Kind(
        "telling_property", 45, "a lifecycle stage, job title, buying role, next step", "rare, and they mean something"
    ),
    Kind("stage", 50, "a deal goes to another stage, one in six of them back", "a deal moves every week or two"),
    Kind(
        "close_date", 45, "a deal's close date is set, mostly to a later day", "dates slip about as often as deals move"
    ),
    Kind("amount", 30, "a deal's amount is set", "less often than its date"),
    Kind("owner", 10, "a deal is given to another owner", "holidays and territories"),
    Kind("deal_created", 10, "a deal is opened", "the pipeline stays about as long as it is"),
    Kind("contact_created", 35, "a contact is added by a form or a person", "some inbound every day"),
    Kind("account_created", 10, "a company is added", "one for every few contacts"),
    Kind(
        "link", 45, "a contact is linked to a deal or company, or unlinked", "every new record is linked to some other"
    ),
    Kind("housekeeping", 15, "merges, restores, line items", "records are tidied in passing"),
    Kind("call", 30, "a recorded call ends, a rival named on one in four", "a few calls a day that a recorder joins"),
    Kind("surge", 25, "a company's weekly research score", "one file a week, rows above the threshold only"),
)
"""Website visits come once there is a source for them. What our own writes cause is not here: no rule ever sees it."""

DEAL_PROPERTIES: Final = ("description", "dealtype", "hs_priority", "deal_source_note", "renewal_terms", "hs_tag_ids")
CONTACT_PROPERTIES: Final = ("phone", "city", "hs_lead_status", "address", "mobilephone", "hs_language", "website")
ACCOUNT_PROPERTIES: Final = ("numberofemployees", "industry", "phone", "city", "annualrevenue", "description")
TELLING: Final = {
    "contact": ("lifecyclestage", "jobtitle", "hs_buying_role"),
    "deal": ("hs_next_step", "hs_manual_forecast_category"),
}
STAGES: Final = (
    ("appointmentscheduled", "Appointment scheduled"),
    ("qualifiedtobuy", "Qualified to buy"),
    ("presentationscheduled", "Presentation scheduled"),
    ("decisionmakerboughtin", "Decision maker bought in"),
    ("contractsent", "Contract sent"),
    ("closedwon", "Closed won"),
    ("closedlost", "Closed lost"),
)
"""HubSpot's default pipeline, in its order."""
WON: Final = 5
FIRST_WORDS: Final = (
    *("Amber", "Birch", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbour", "Iris", "Juniper"),
    *("Kestrel", "Linden", "Meridian", "North", "Opal", "Prairie", "Quarry", "Ridge", "Summit", "Tidal"),
)
LAST_WORDS: Final = (
    "Foods",
    "Freight",
    "Health",
    "Labs",
    "Logistics",
    "Machines",
    "Media",
    "Partners",
    "Power",
    "Tools",
)
PEOPLE: Final = ("Alex", "Bo", "Chris", "Dana", "Eli", "Fran", "Gia", "Hana", "Ivo", "Jo", "Kim", "Lou", "Mika", "Noa")
SURNAMES: Final = ("Abel", "Berg", "Cole", "Duarte", "Egede", "Fuchs", "Gomes", "Haas", "Ito", "Jensen", "Khan", "Lind")
TITLES: Final = ("Head of IT", "CFO", "Buyer", "VP Operations", "Data Engineer", "Office Manager", "CTO", "Analyst")
ROLES: Final = ("CHAMPION", "DECISION_MAKER", "BUDGET_HOLDER", "END_USER", "INFLUENCER")
INDUSTRIES: Final = ("COMPUTER_SOFTWARE", "FOOD_PRODUCTION", "HOSPITAL_HEALTH_CARE", "LOGISTICS_AND_SUPPLY_CHAIN")
COUNTRIES: Final = ("Germany", "France", "United States", "Netherlands", "Spain")
TOPICS: Final = ("Data Pipelines", "CRM Migration", "Sales Forecasting", "Usage Pricing", "Revenue Operations")
RIVALS: Final = ("Initech", "Umbrella", "Vandelay", "Hooli")
STEPS: Final = ("Send the security papers", "Book a call with legal", "Share a price for 60 seats", "Set up a trial")
