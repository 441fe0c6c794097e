"""The outbound claim type map, entry by entry."""

import pytest

from flask_signalr.claim_types import SHORT_NAMES, name_as_read
from flask_signalr.claims import Claims, customer_claims, short_name
from flask_signalr.principal import Principal, only

SOAP = "http://schemas.xmlsoap.org/claims/"
SOAP_2005 = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
MICROSOFT = "http://schemas.microsoft.com/claims/"
MICROSOFT_2008 = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
MICROSOFT_2012 = "http://schemas.microsoft.com/ws/2012/01/"
IDENTITY = "http://schemas.microsoft.com/identity/claims/"
CERTIFICATE = "http://schemas.microsoft.com/2012/12/certificatecontext/"
REQUEST = "http://schemas.microsoft.com/2012/01/requestcontext/claims/"
DEVICE = "http://schemas.microsoft.com/2012/01/devicecontext/claims/"

SDK_MAP = {
    "acr": MICROSOFT + "authnclassreference",
    "actort": "http://schemas.xmlsoap.org/ws/2009/09/identity/claims/actor",
    "adfs1email": SOAP + "EmailAddress",
    "adfs1upn": SOAP + "UPN",
    "amr": MICROSOFT + "authnmethodsreferences",
    "authmethod": MICROSOFT_2008 + "authenticationmethod",
    "birthdate": SOAP_2005 + "dateofbirth",
    "certapppolicy": CERTIFICATE + "extension/applicationpolicy",
    "certauthoritykeyidentifier": CERTIFICATE + "extension/authoritykeyidentifier",
    "certbasicconstraints": CERTIFICATE + "extension/basicconstraints",
    "certeku": CERTIFICATE + "extension/eku",
    "certissuer": CERTIFICATE + "field/issuer",
    "certissuername": CERTIFICATE + "field/issuername",
    "certkeyusage": CERTIFICATE + "extension/keyusage",
    "certnotafter": CERTIFICATE + "field/notafter",
    "certnotbefore": CERTIFICATE + "field/notbefore",
    "certpolicy": CERTIFICATE + "extension/certificatepolicy",
    "certpublickey": SOAP_2005 + "rsa",
    "certrawdata": CERTIFICATE + "field/rawdata",
    "certserialnumber": MICROSOFT_2008 + "serialnumber",
    "certsignaturealgorithm": CERTIFICATE + "field/signaturealgorithm",
    "certsubject": CERTIFICATE + "field/subject",
    "certsubjectaltname": CERTIFICATE + "extension/san",
    "certsubjectkeyidentifier": CERTIFICATE + "extension/subjectkeyidentifier",
    "certsubjectname": CERTIFICATE + "field/subjectname",
    "certtemplateinformation": CERTIFICATE + "extension/certificatetemplateinformation",
    "certtemplatename": CERTIFICATE + "extension/certificatetemplatename",
    "certthumbprint": SOAP_2005 + "thumbprint",
    "certx509version": CERTIFICATE + "field/x509version",
    "clientapplication": REQUEST + "x-ms-client-application",
    "clientip": REQUEST + "x-ms-client-ip",
    "clientuseragent": REQUEST + "x-ms-client-user-agent",
    "commonname": SOAP + "CommonName",
    "denyonlyprimarygroupsid": MICROSOFT_2008 + "denyonlyprimarygroupsid",
    "denyonlyprimarysid": MICROSOFT_2008 + "denyonlyprimarysid",
    "denyonlysid": SOAP_2005 + "denyonlysid",
    "devicedispname": DEVICE + "displayname",
    "deviceid": DEVICE + "identifier",
    "deviceismanaged": DEVICE + "ismanaged",
    "deviceostype": DEVICE + "ostype",
    "deviceosver": DEVICE + "osversion",
    "deviceowner": DEVICE + "userowner",
    "deviceregid": DEVICE + "registrationid",
    "email": SOAP_2005 + "emailaddress",
    "endpointpath": REQUEST + "x-ms-endpoint-absolute-path",
    "family_name": SOAP_2005 + "surname",
    "forwardedclientip": REQUEST + "x-ms-forwarded-client-ip",
    "gender": SOAP_2005 + "gender",
    "given_name": SOAP_2005 + "givenname",
    "group": SOAP + "Group",
    "groupsid": MICROSOFT_2008 + "groupsid",
    "idp": IDENTITY + "identityprovider",
    "insidecorporatenetwork": MICROSOFT_2012 + "insidecorporatenetwork",
    "isregistereduser": DEVICE + "isregistereduser",
    "nameid": SOAP_2005 + "nameidentifier",
    "oid": IDENTITY + "objectidentifier",
    "ppid": SOAP_2005 + "privatepersonalidentifier",
    "primarygroupsid": MICROSOFT_2008 + "primarygroupsid",
    "primarysid": MICROSOFT_2008 + "primarysid",
    "proxy": REQUEST + "x-ms-proxy",
    "pwdchgurl": MICROSOFT_2012 + "passwordchangeurl",
    "pwdexpdays": MICROSOFT_2012 + "passwordexpirationdays",
    "pwdexptime": MICROSOFT_2012 + "passwordexpirationtime",
    "relyingpartytrustid": REQUEST + "relyingpartytrustid",
    "role": MICROSOFT_2008 + "role",
    "scp": IDENTITY + "scope",
    "tid": IDENTITY + "tenantid",
    "unique_name": SOAP_2005 + "name",
    "upn": SOAP_2005 + "upn",
    "website": SOAP_2005 + "webpage",
    "winaccountname": MICROSOFT_2008 + "windowsaccountname",
}
"""Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Auth/ClaimTypeMapping.cs."""

each_entry = pytest.mark.parametrize(("short", "long"), SDK_MAP.items(), ids=SDK_MAP)


def test_the_map_has_the_71_entries_of_the_sdk_and_no_other() -> None:
    assert len(SDK_MAP) == 71
    assert {short: long for long, short in SHORT_NAMES.items()} == SDK_MAP


@each_entry
def test_a_long_type_enters_the_token_under_its_short_name(short: str, long: str) -> None:
    assert list(customer_claims(Claims.of({long: "value"}))) == [(short, "value")]


@each_entry
def test_the_claims_filter_knows_a_long_type_by_its_short_name(short: str, long: str) -> None:
    """An app that says ``only("role")`` means the role, whichever identity provider spells it."""
    principal = Principal("ada", {long: "value"})

    assert only(short)(principal) == principal.claims
    assert only(long)(principal) == principal.claims


@pytest.mark.parametrize("claim_type", ["name", "roles", "role", "", SOAP_2005 + "Name", SOAP_2005])
def test_other_types_are_their_own_short_name(claim_type: str) -> None:
    assert short_name(claim_type) == claim_type


@pytest.mark.parametrize(
    ("claim_type", "read_as"),
    [
        ("sub", "nameid"),
        ("nameid", "nameid"),
        (SOAP_2005 + "nameidentifier", "nameid"),
        ("roles", "role"),
        (MICROSOFT_2008 + "role", "role"),
        ("department", "department"),
    ],
)
def test_a_claim_comes_back_under_the_name_that_the_service_reads(claim_type: str, read_as: str) -> None:
    assert name_as_read(claim_type) == read_as
