# SPDX-License-Identifier: Apache-2.0
"""botocore and rosterd are given the same environment and files, and must come to the same access
key by the same provider, or both to none."""

import os
import re
from unittest import mock

import botocore.session
import botocore.utils
import pytest

from aws import ROLE, Aws, secret_of, shown, time_text
from rosterd import Rosterd

ENV, FILE, CONF, OTHER = "AKIAENVIRONMENT0ENVI", "AKIACREDENTIALS0CRED", "AKIACONFIGFILE00CONF", \
    "AKIAOTHERPROFILEOTHE"
TOKEN = "AKIAWITHATOKEN00TOKE"


def static(access_key, token=None):
    text = f"aws_access_key_id = {access_key}\naws_secret_access_key = {secret_of(access_key)}\n"
    return text + (f"aws_session_token = {token}\n" if token else "")


def env_keys(**more):
    return dict({"AWS_ACCESS_KEY_ID": ENV, "AWS_SECRET_ACCESS_KEY": secret_of(ENV)}, **more)


def helper(access_key, more="", version="1"):
    """A credential_process that is no file: printf, with the quotation marks of a shell."""
    return ("""credential_process = printf '{"Version": %s, "AccessKeyId": "%s", """
            """"SecretAccessKey": "%s"%s}'\n""" % (version, access_key, secret_of(access_key), more))


class Case:
    """wanted: the provider that botocore must find, or None where both must refuse."""

    def __init__(self, name, wanted, config="", credentials="", env=None, profile=None, imds=False,
                 files=None):
        self.name, self.wanted, self.config, self.credentials = name, wanted, config, credentials
        self.env, self.profile, self.imds, self.files = env or {}, profile, imds, files or {}


ASSUME, SHARED, STATIC, PROCESS, WEB = ("assume-role", "shared-credentials-file", "config-file",
                                       "custom-process", "assume-role-with-web-identity")
WEB_ENV = {"AWS_WEB_IDENTITY_TOKEN_FILE": "{dir}/jwt", "AWS_ROLE_ARN": ROLE + "web"}
JWT = {"jwt": "eyJhbGciOi.web.identity"}


def role(name="r", **settings):
    return f"role_arn = {ROLE}{name}\n" + "".join(f"{k} = {v}\n" for k, v in settings.items())


DEFAULT_FILE = "[default]\n" + static(FILE)
DEFAULT_CONF = "[default]\n" + static(CONF)
SOURCE = "[profile src]\n" + static(OTHER)

CASES = [
    # the environment
    Case("env", "env", env=env_keys()),
    Case("env before all others", "env", DEFAULT_CONF + role(source_profile="src") + SOURCE,
         DEFAULT_FILE, env_keys(**WEB_ENV), files=JWT, imds=True),
    Case("env without secret", None, credentials=DEFAULT_FILE, env={"AWS_ACCESS_KEY_ID": ENV}),
    Case("env with empty secret", None, env=env_keys(AWS_SECRET_ACCESS_KEY="")),
    Case("empty id is none", SHARED, credentials=DEFAULT_FILE, env=env_keys(AWS_ACCESS_KEY_ID="")),
    Case("secret alone is none", SHARED, credentials=DEFAULT_FILE,
         env={"AWS_SECRET_ACCESS_KEY": "x"}),
    Case("env with token", "env", env=env_keys(AWS_SESSION_TOKEN="tok")),
    Case("env with expiry", "env", env=env_keys(AWS_CREDENTIAL_EXPIRATION="{later}")),
    Case("env has expired", None, env=env_keys(AWS_CREDENTIAL_EXPIRATION="2020-01-01T00:00:00Z")),
    Case("env with expiry and offset", "env",
         env=env_keys(AWS_CREDENTIAL_EXPIRATION="2040-01-01T00:00:00+02:00")),
    Case("env with an expiry that is none", None,
         env=env_keys(AWS_CREDENTIAL_EXPIRATION="tomorrow, perhaps")),
    Case("env with an expiry without offset", None,
         env=env_keys(AWS_CREDENTIAL_EXPIRATION="2040-01-01T00:00:00")),
    Case("an explicit profile goes before env", SHARED, SOURCE, "[src]\n" + static(FILE),
         env_keys(), profile="src"),
    Case("a named profile does not", "env", SOURCE, "", env_keys(AWS_PROFILE="src")),
    Case("a named profile must exist even then", None, SOURCE, "", env_keys(AWS_PROFILE="nobody")),
    Case("a broken file spoils env", None, "[default\n", "", env_keys()),
    # profiles: their names and files
    Case("nothing at all", None),
    Case("shared file", SHARED, credentials=DEFAULT_FILE),
    Case("config file", STATIC, DEFAULT_CONF),
    Case("shared file before config file", SHARED, DEFAULT_CONF, DEFAULT_FILE),
    Case("AWS_PROFILE", STATIC, SOURCE, DEFAULT_FILE, {"AWS_PROFILE": "src"}),
    Case("AWS_DEFAULT_PROFILE goes first", STATIC, SOURCE + "[profile b]\n" + static(CONF),
         env={"AWS_PROFILE": "b", "AWS_DEFAULT_PROFILE": "src"}),
    Case("an empty profile is a name", None, DEFAULT_CONF, env={"AWS_PROFILE": ""}),
    Case("no such profile", None, DEFAULT_CONF, DEFAULT_FILE, {"AWS_PROFILE": "nobody"}),
    Case("no such explicit profile", None, DEFAULT_CONF, DEFAULT_FILE, profile="nobody"),
    Case("explicit profile", STATIC, SOURCE, profile="src"),
    Case("explicit profile default", SHARED, credentials=DEFAULT_FILE, profile="default",
         env=env_keys()),
    Case("explicit before named", STATIC, SOURCE + "[profile b]\n" + static(CONF), profile="src",
         env={"AWS_PROFILE": "b"}),
    Case("a section without profile is none", None, "[src]\n" + static(OTHER), profile="src"),
    Case("default may be called profile", STATIC, "[profile default]\n" + static(CONF)),
    Case("of two the last one counts", STATIC,
         DEFAULT_CONF + "[profile default]\n" + static(OTHER)),
    Case("quoted name", STATIC, '[profile "my own"]\n' + static(OTHER), profile="my own"),
    Case("quoted and plain are one", STATIC,
         '[profile src]\n' + static(CONF) + '[profile "src"]\n' + static(OTHER), profile="src"),
    Case("name with an unclosed quote", None, '[profile "src]\n' + static(OTHER), profile="src"),
    Case("name of two words without quotes", None, "[profile my own]\n" + static(OTHER),
         profile="my own"),
    Case("the credentials file has names as they are", SHARED,
         credentials="[my own]\n" + static(FILE), profile="my own"),
    Case("profile in the credentials file is part of the name", SHARED,
         credentials="[profile src]\n" + static(FILE), profile="profile src"),
    Case("profile of the config that only looks like one", STATIC,
         "[profiles src]\n" + static(OTHER), profile="src"),
    Case("id without secret", None, "[default]\naws_access_key_id = A\n"),
    Case("id in one file, secret in the other", None,
         "[default]\naws_secret_access_key = x\n", "[default]\naws_access_key_id = A\n"),
    Case("secret without id", None, "[default]\naws_secret_access_key = x\n"),
    Case("shared file with token", SHARED, credentials="[default]\n" + static(FILE, "tok")),
    Case("a file by tilde", SHARED, credentials=DEFAULT_FILE,
         env={"AWS_SHARED_CREDENTIALS_FILE": "~/aws-credentials"}),
    Case("a file by variable", SHARED, credentials=DEFAULT_FILE,
         env={"AWS_SHARED_CREDENTIALS_FILE": "${HOME}/aws-credentials"}),
    Case("a file that is a folder is none", STATIC, DEFAULT_CONF, DEFAULT_FILE,
         {"AWS_SHARED_CREDENTIALS_FILE": "{dir}"}),
    Case("files of HOME", SHARED, files={".aws/credentials": DEFAULT_FILE},
         env={"AWS_SHARED_CREDENTIALS_FILE": None, "AWS_CONFIG_FILE": None}),
    # how lines are read
    Case("comments and blanks", STATIC,
         "# one\n; two\n\n[default] # three\n  \naws_access_key_id=" + CONF +
         "\n   # four\naws_secret_access_key  =  " + secret_of(CONF) + "  \n"),
    Case("a colon parts as well", STATIC,
         f"[default]\naws_access_key_id: {CONF}\naws_secret_access_key:x=y\n"),
    Case("keys in capitals", STATIC,
         f"[default]\nAWS_ACCESS_KEY_ID = {CONF}\nAws_Secret_Access_Key = x\n"),
    Case("a hash belongs to the value", STATIC,
         f"[default]\naws_access_key_id = {CONF}\naws_secret_access_key = a#b;c\n"),
    Case("nested settings", STATIC,
         "[default]\ns3 =\n  max_concurrent_requests = 20\n  addressing_style = path\n"
         + static(CONF)),
    Case("nested settings without =", None,
         "[default]\ns3 =\n  max_concurrent_requests\n" + static(CONF)),
    Case("an indented key belongs to the one above", None,
         f"[default]\nregion = us-east-1\n  aws_access_key_id = {CONF}\n  aws_secret_access_key = x\n"),
    Case("all keys indented", STATIC,
         f"[default]\n  aws_access_key_id = {CONF}\n  aws_secret_access_key = x\n"),
    Case("[DEFAULT] is for all", STATIC, "[DEFAULT]\n" + static(CONF) + "[profile src]\nregion = x\n",
         profile="src"),
    Case("line before the first section", None, "region = x\n" + DEFAULT_CONF),
    Case("line without =", None, DEFAULT_CONF + "rubbish\n"),
    Case("section twice", None, credentials=DEFAULT_FILE + "[default]\nregion = x\n"),
    Case("key twice", None, DEFAULT_CONF + "region = a\nregion = b\n"),
    Case("no key", None, DEFAULT_CONF + "= a\n"),
    Case("carriage returns", STATIC, DEFAULT_CONF.replace("\n", "\r\n")),
    Case("a byte order mark", None, "\ufeff" + DEFAULT_CONF),
    Case("a broken credentials file", None, DEFAULT_CONF, "[default]\nrubbish\n"),
    # roles of profiles
    Case("role with source_profile", ASSUME, "[default]\n" + role(source_profile="src") + SOURCE),
    Case("its source in the credentials file", ASSUME,
         "[default]\n" + role(source_profile="src"), "[src]\n" + static(OTHER)),
    Case("external id and duration", ASSUME,
         "[default]\n" + role(source_profile="src", external_id="ext:1/2", duration_seconds="1200",
                              role_session_name="me@here") + SOURCE),
    Case("a duration that is no number is left out", ASSUME,
         "[default]\n" + role(source_profile="src", duration_seconds="long") + SOURCE),
    Case("role before the profile's keys", ASSUME,
         DEFAULT_CONF + role(source_profile="src") + SOURCE),
    Case("role before the shared file", ASSUME,
         "[default]\n" + role(source_profile="src") + SOURCE, DEFAULT_FILE),
    Case("role of a role", ASSUME,
         "[default]\n" + role("a", source_profile="b") + "[profile b]\n"
         + role("b", source_profile="src") + SOURCE),
    Case("own keys of a profile that names itself", ASSUME,
         DEFAULT_CONF + role(source_profile="default")),
    Case("a source with keys does not assume its role", ASSUME,
         "[default]\n" + role("a", source_profile="src") + SOURCE + role("b", source_profile="no")),
    Case("a profile that names itself without keys", None, "[default]\n"
         + role(source_profile="default")),
    Case("circle of two", None, "[default]\n" + role("a", source_profile="b") + "[profile b]\n"
         + role("b", source_profile="default")),
    Case("circle further on", None, "[default]\n" + role("a", source_profile="b") + "[profile b]\n"
         + role("b", source_profile="c") + "[profile c]\n" + role("c", source_profile="b")),
    Case("source that does not exist", None, "[default]\n" + role(source_profile="no")),
    Case("source without credentials", None, "[default]\n" + role(source_profile="src")
         + "[profile src]\nregion = x\n"),
    Case("source with half the keys", None, "[default]\n" + role(source_profile="src")
         + "[profile src]\naws_access_key_id = A\n"),
    Case("source with the other half", None, "[default]\n" + role(source_profile="src")
         + "[profile src]\naws_secret_access_key = A\n"),
    Case("neither source", None, "[default]\n" + role()),
    Case("both sources", None, "[default]\n"
         + role(source_profile="src", credential_source="Environment") + SOURCE),
    Case("credential_source Environment", ASSUME, "[profile r]\n"
         + role(credential_source="Environment"), env=env_keys(), profile="r"),
    Case("credential_source Environment without keys", None, "[default]\n"
         + role(credential_source="Environment")),
    Case("credential_source in small letters", None, "[profile r]\n"
         + role(credential_source="environment"), env=env_keys(), profile="r"),
    Case("credential_source unknown", None, "[default]\n" + role(credential_source="Moon")),
    Case("credential_source Ec2InstanceMetadata", ASSUME, "[default]\n"
         + role(credential_source="Ec2InstanceMetadata"), imds=True),
    Case("credential_source EcsContainer", ASSUME, "[default]\n"
         + role(credential_source="EcsContainer"),
         env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{aws}/container"}),
    Case("credential_source EcsContainer outside of one", None, "[default]\n"
         + role(credential_source="EcsContainer")),
    Case("role by credential_process", ASSUME, "[default]\n" + role(source_profile="src")
         + "[profile src]\n" + helper(OTHER)),
    Case("role that is denied", None, "[default]\n" + role("denied", source_profile="src")
         + SOURCE),
    Case("role of an explicit profile", ASSUME, "[profile r]\n" + role(source_profile="src")
         + SOURCE, env=env_keys(), profile="r"),
    Case("a source profile does not see env", None, "[profile r]\n" + role(source_profile="src")
         + "[profile src]\nregion = x\n", env=env_keys(), profile="r"),
    # tokens: STS takes TOKEN only with "right"
    Case("AWS_SECURITY_TOKEN goes first", ASSUME, "[profile r]\n"
         + role(credential_source="Environment"), profile="r",
         env={"AWS_ACCESS_KEY_ID": TOKEN, "AWS_SECRET_ACCESS_KEY": secret_of(TOKEN),
              "AWS_SECURITY_TOKEN": "right", "AWS_SESSION_TOKEN": "wrong"}),
    Case("AWS_SESSION_TOKEN if that is empty", ASSUME, "[profile r]\n"
         + role(credential_source="Environment"), profile="r",
         env={"AWS_ACCESS_KEY_ID": TOKEN, "AWS_SECRET_ACCESS_KEY": secret_of(TOKEN),
              "AWS_SECURITY_TOKEN": "", "AWS_SESSION_TOKEN": "right"}),
    Case("aws_security_token goes first", ASSUME, "[default]\n" + role(source_profile="src"),
         "[src]\naws_security_token = right\n" + static(TOKEN, "wrong")),
    Case("aws_session_token", ASSUME, "[default]\n" + role(source_profile="src")
         + "[profile src]\n" + static(TOKEN, "right")),
    Case("the wrong token", None, "[default]\n" + role(source_profile="src")
         + "[profile src]\n" + static(TOKEN, "wrong")),
    Case("an empty aws_session_token is none", ASSUME, "[default]\n" + role(source_profile="src")
         + "[profile src]\n" + static(OTHER) + "aws_session_token =\n"),
    # web identity
    Case("web identity", WEB, env=WEB_ENV, files=JWT),
    Case("web identity before the shared file", WEB, "", DEFAULT_FILE, WEB_ENV, files=JWT),
    Case("web identity after a profile's role", ASSUME,
         "[default]\n" + role(source_profile="src") + SOURCE, env=WEB_ENV, files=JWT),
    Case("web identity of a profile", WEB, "[default]\nweb_identity_token_file = {dir}/jwt\n"
         + role(), files=JWT),
    Case("web identity of env and profile mixed", WEB, "[default]\n" + role("mixed")
         + "web_identity_token_file = {dir}/nothing\n",
         env={"AWS_WEB_IDENTITY_TOKEN_FILE": "{dir}/jwt"}, files=JWT),
    Case("web identity without a role", None, "", DEFAULT_FILE,
         {"AWS_WEB_IDENTITY_TOKEN_FILE": "{dir}/jwt"}, files=JWT),
    Case("web identity without its file", None, env=WEB_ENV),
    Case("web identity of env is not an explicit profile's", STATIC, SOURCE, env=WEB_ENV,
         files=JWT, profile="src"),
    Case("role of a web identity", ASSUME, "[default]\n" + role("b", source_profile="src")
         + "[profile src]\nweb_identity_token_file = {dir}/jwt\n" + role("a"), files=JWT),
    # SSO takes a person
    Case("sso", None, "[default]\nsso_role_name = r\nsso_account_id = 1\nsso_region = us-east-1\n"
         "sso_start_url = https://127.0.0.1:1/\n", DEFAULT_FILE),
    # credential_process
    Case("process", PROCESS, "[default]\n" + helper(OTHER)),
    Case("shared file before process", SHARED, "[default]\n" + helper(OTHER), DEFAULT_FILE),
    Case("process before config file", PROCESS, DEFAULT_CONF + helper(OTHER)),
    Case("process in the credentials file", PROCESS, "", "[default]\n" + helper(OTHER)),
    Case("process with expiry", PROCESS, "[default]\n"
         + helper(OTHER, ', "SessionToken": "t", "Expiration": "{later}"')),
    Case("process with keys that have expired", None, "[default]\n"
         + helper(OTHER, ', "SessionToken": "t", "Expiration": "2020-01-01T00:00:00Z"')),
    Case("process of version 2", None, "[default]\n" + helper(OTHER, version="2")),
    Case("process of version 1 as text", None, "[default]\n" + helper(OTHER, version='"1"')),
    Case("process without Version", None, "[default]\ncredential_process = echo '{}'\n"),
    Case("process without SecretAccessKey", None,
         """[default]\ncredential_process = echo '{"Version":1,"AccessKeyId":"A"}'\n"""),
    Case("process that prints no JSON", None, "[default]\ncredential_process = echo hello\n"),
    Case("process that prints nothing", None, "[default]\ncredential_process = true\n"),
    Case("process that fails", None, "[default]\ncredential_process = false\n", imds=True),
    Case("process that is not there", None, "[default]\ncredential_process = /no/such/file\n"),
    Case("process with an unclosed quote", None, "[default]\ncredential_process = echo '{}\n"),
    Case("process that is empty", None, "[default]\ncredential_process =\n"),
    Case("process is no shell", None, "[default]\ncredential_process = echo '{}' | cat\n"),
    Case("process with escapes", PROCESS,
         '[default]\ncredential_process = printf "{\\"Version\\":1,\\"AccessKeyId\\":\\"' + OTHER
         + '\\",\\"SecretAccessKey\\":\\"x\\"}"\n'),
    # containers
    Case("container by full URI", "container-role",
         env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{aws}/container"}),
    Case("container by relative URI", "container-role",
         env={"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container/r"}),
    Case("the relative URI goes first", "container-role",
         env={"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container/r",
              "AWS_CONTAINER_CREDENTIALS_FULL_URI": "{aws}/container/full"}),
    Case("container after files", STATIC, DEFAULT_CONF,
         env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{aws}/container"}),
    Case("container before the instance", "container-role", imds=True,
         env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{aws}/container"}),
    Case("container on localhost", "container-role",
         env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{local}/container"}),
    Case("container with a token", "container-role",
         env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{aws}/container",
              "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic abc"}),
    Case("container on another host", None, imds=True,
         env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.invalid/container"}),
    Case("container on another host by user name", None,
         env={"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "@example.invalid/container"}),
    Case("an empty full URI is one", None, imds=True,
         env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": ""}),
    # the instance
    Case("instance", "iam-role", imds=True),
    Case("instance that is disabled", None, imds=True, env={"AWS_EC2_METADATA_DISABLED": "True"}),
    Case("disabled is true and nothing else", "iam-role", imds=True,
         env={"AWS_EC2_METADATA_DISABLED": "1"}),
    Case("instance endpoint by profile", "iam-role", "[default]\nec2_metadata_service_endpoint = "
         "{aws}\n", env={"AWS_EC2_METADATA_DISABLED": "false"}),
    Case("an endpoint mode that is none", None, "", DEFAULT_FILE,
         {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv5"}),
    Case("a timeout that is no number", None, "", DEFAULT_FILE,
         {"AWS_METADATA_SERVICE_TIMEOUT": "soon"}),
    Case("instance endpoint that is none", None, "", DEFAULT_FILE,
         {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "no url"}),
]


@pytest.fixture(scope="module")
def aws():
    with Aws() as server:
        for access_key in (ENV, FILE, CONF, OTHER):
            server.allow(access_key)
        server.allow(TOKEN, "right")
        yield server


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())


def settle(case, folder, aws):
    """Writes the files; returns the environment of the case."""
    def fill(text):
        for word, value in (("{dir}", str(folder)), ("{aws}", aws.url), ("{later}", time_text(7200)),
                            ("{local}", aws.url.replace("127.0.0.1", "localhost"))):
            text = text.replace(word, value)
        return text

    for name, text in dict({"aws-config": case.config, "aws-credentials": case.credentials},
                           **case.files).items():
        if text:
            write(folder, name, fill(text))
    env = {"HOME": str(folder), "AWS_CONFIG_FILE": str(folder / "aws-config"),
           "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws-credentials"),
           "AWS_EC2_METADATA_DISABLED": "false" if case.imds else "true",
           "AWS_DEFAULT_REGION": "us-east-1"}
    if case.imds:
        env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    env.update({name: value if value is None else fill(value) for name, value in case.env.items()})
    return {name: value for name, value in env.items() if value is not None}


def ask_botocore(env, profile, aws):
    """(provider, access key id), or (None, why)."""
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith("AWS_") and not name.lower().endswith("_proxy")}
    with mock.patch.dict(os.environ, dict(clean, **env), clear=True), \
            mock.patch.object(botocore.utils.ContainerMetadataFetcher, "IP_ADDRESS",
                              aws.url[len("http://"):]), \
            mock.patch.object(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0):
        try:
            session = botocore.session.Session(profile=profile)
            create = session.create_client

            def create_client(service_name, **options):
                assert service_name == "sts", f"a client of {service_name}"
                return create(service_name, endpoint_url=aws.url, **options)

            session.create_client = create_client
            credentials = session.get_credentials()
            if credentials is None:
                return None, "none were found"
            frozen = credentials.get_frozen_credentials()
            return credentials.method, frozen.access_key
        except Exception as why:  # whatever it is, it is no key
            return None, repr(why)


def ask_rosterd(tmp_path, env, profile, aws):
    keys = {"account_id": "0f2c", "endpoint": "http://127.0.0.1:1"}
    if profile:
        keys["profile"] = profile
    roster = Rosterd(tmp_path, None, {"acme": keys})
    roster.env = dict(env, AWS_ENDPOINT_URL_STS=aws.url,
                      ROSTERD_TEST_CONTAINER_ENDPOINT=aws.url)
    environment = roster.environment()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        if name not in env:
            del environment[name]
    roster.environment = lambda: environment
    done = roster.run("--check-config", "--credentials")
    assert done.returncode in (0, 1), done.stderr
    assert "canary" not in done.stdout + done.stderr
    line = done.stdout.splitlines()[1]
    found = re.fullmatch(r"acme: ([a-z-]+)(?: from [a-z-]+)?: works: (\S+)( until \S+)?", line)
    assert (found is None) == (done.returncode == 1), line
    if not found:
        assert ": does not work: " in line or line.startswith("acme: does not work: "), line
        return None, line
    return found.group(1), found.group(2)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_same_key_or_same_refusal(tmp_path, aws, case):
    env = settle(case, tmp_path, aws)
    provider, found = ask_botocore(env, case.profile, aws)
    assert provider == case.wanted, found
    ours, shown_key = ask_rosterd(tmp_path, env, case.profile, aws)
    assert ours == provider, (shown_key, found)
    if provider:
        assert shown_key == shown(found)


def test_there_are_enough_cases():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 60
    assert {case.wanted for case in CASES} == {
        None, "env", ASSUME, WEB, SHARED, PROCESS, STATIC, "container-role", "iam-role"}
