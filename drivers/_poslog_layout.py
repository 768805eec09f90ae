"""Which elements of a POSLog are read, in the layouts 2.x and 6, and which are left out on purpose. Data only.

2.x names the shop RetailStoreID, 6 BusinessUnit/UnitID; 2.x may give TransactionID where 6 gives SequenceNumber too; an
item is ItemID, POSIdentity/POSItemID, or both. Tills mix the layouts, so one table holds both. Not here: what the
elements mean (`_poslog_read.py`, `_poslog_lines.py`). Sources: public samples of NCR, Wincor, Retalix, Futura and other
tills that name ARTS POSLog 2.2 and 6.0; the schema itself is not public.
"""

from typing import TypeAlias

Layout: TypeAlias = "dict[str, Layout]"

_TEXT: Layout = {}
_LINK: Layout = {
    "RetailStoreID": _TEXT,
    "BusinessUnit": {"UnitID": _TEXT},
    "WorkstationID": _TEXT,
    "BusinessDayDate": {"Date": _TEXT},
    "SequenceNumber": _TEXT,
    "TransactionID": _TEXT,
}
_ITEM: Layout = {
    "ItemID": _TEXT,
    "POSIdentity": {"POSItemID": _TEXT},
    "SerialNumber": _TEXT,
    "RegularSalesUnitPrice": _TEXT,
    "RegularSaleUnitPrice": _TEXT,  # misspelt by one till
    "ActualSalesUnitPrice": _TEXT,
    "ExtendedAmount": _TEXT,
    "DiscountAmount": _TEXT,
    "ExtendedDiscountAmount": _TEXT,
    "Quantity": _TEXT,
    "RetailPriceModifier": {"Amount": _TEXT},
    "ItemLink": _TEXT,
}
_TENDER: Layout = {
    "Amount": _TEXT,
    "TenderChange": {"Amount": _TEXT},
    "Cashback": _TEXT,
    "Rounding": _TEXT,
}
_LINE: Layout = {
    "SequenceNumber": _TEXT,
    "Sale": _ITEM,
    "Return": _ITEM,
    "Tender": _TENDER,
    "TenderChange": {"Amount": _TEXT, "TenderChange": {"Amount": _TEXT}},
    "Discount": {"Amount": _TEXT},
    "RetailPriceModifier": {"Amount": _TEXT},
    "ItemLink": _TEXT,
    "ScanData": _TEXT,
}
TRANSACTION: Layout = {
    "RetailStoreID": _TEXT,
    "BusinessUnit": {"UnitID": _TEXT},
    "WorkstationID": _TEXT,
    "SequenceNumber": _TEXT,
    "TransactionID": _TEXT,
    "BusinessDayDate": {"Date": _TEXT},
    "BeginDateTime": _TEXT,
    "EndDateTime": _TEXT,
    "POSLogDateTime": _TEXT,
    "ReceiptDateTime": _TEXT,
    "CurrencyCode": _TEXT,
    "TransactionLink": _LINK,
    "RetailTransaction": {"LineItem": _LINE, "Total": _TEXT, "TransactionLink": _LINK, "CurrencyCode": _TEXT},
}

ATTRIBUTES = frozenset(
    {
        "Action",
        "CancelFlag",
        "Currency",
        "CurrencyCode",
        "DeleteFlag",
        "Name",
        "POSIDType",
        "ReasonCode",
        "SuspendedFlag",
        "TenderType",
        "TotalType",
        "TrainingModeFlag",
        "TransactionStatus",
        "Type",
        "TypeCode",
        "UnitCount",
        "UnitOfMeasureCode",
        "Units",
        "VoidFlag",
        "VoidedFlag",
    }
)

# Known, and not read: people and their cards, taxes by rate, texts, the till's own bookkeeping. Not counted as unknown.
ASIDE = frozenset(
    {
        "AmountAppliedToBill",
        "Associate",
        "Authorization",
        "BeginDateTime",
        "Channel",
        "ControlTransaction",
        "CreditDebit",
        "Customer",
        "CustomerAccount",
        "DateTime",
        "Description",
        "EndDateTime",
        "ItemCount",
        "LoyaltyAccount",
        "MerchandiseHierarchy",
        "OperatorBypassApproval",
        "OperatorID",
        "OperatorSequence",
        "OrganizationHierarchy",
        "PerformanceMetrics",
        "PriceDerivationResult",
        "PriceDerivationRule",
        "PromotionID",
        "Qualifier",
        "ReasonCode",
        "ReceiptDateTime",
        "ReceiptImage",
        "ReceiptNumber",
        "Rounding",
        "SequenceNumber",
        "Tax",
        "TenderControlTransaction",
        "TenderID",
        "TillID",
        "TrailerText",
        "TransactionLink",
        "UnitCostPrice",
        "UnitListPrice",
    }
)
