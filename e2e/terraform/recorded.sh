# The same with recorded states of a cloud, and a stand-in for `terraform destroy` that does to
# directories what the provider did to the database and its snapshots.
set -e
mkdir -p work/infra work/archive && cd work/infra
state() { # LINEAGE SERIAL RESOURCES
    printf '{\n  "version": 4,\n  "terraform_version": "1.9.8",\n  "serial": %s,\n  "lineage": "%s",\n  "outputs": {},\n  "resources": [%s],\n  "check_results": null\n}\n' "$2" "$1" "$3"
}
resource() { # TYPE NAME ATTRIBUTES
    printf '{"mode": "managed", "type": "%s", "name": "%s", "provider": "provider[\\"registry.terraform.io/hashicorp/aws\\"]", "instances": [{"schema_version": 0, "attributes": %s, "sensitive_attributes": []}]}' "$1" "$2" "$3"
}
old="$(resource aws_db_instance shop '{"id": "shop", "directory": "/srv/database"}'), $(resource aws_db_snapshot nightly '{"id": "nightly", "directory": "/srv/snapshots"}')"
state 5f1d0c3e-6d5b-4b0f-9a57-9c0d8b0a1e11 7 "$old" > ../archive/old.tfstate
state c2a9b7aa-2f0e-44b5-8f13-1be1d1f5a902 41 "$(resource aws_instance web '{"id": "i-0abc"}')" > terraform.tfstate
cat > destroy.py <<'P'
import json, shutil
with open("terraform.tfstate") as f:
    state = json.load(f)
shutil.copy("terraform.tfstate", "terraform.tfstate.backup")
for resource in state["resources"]:
    for instance in resource["instances"]:
        if "directory" in instance["attributes"]:
            shutil.rmtree(instance["attributes"]["directory"])
state["resources"], state["serial"] = [], state["serial"] + 1
with open("terraform.tfstate", "w") as f:
    json.dump(state, f, indent=2)
P
git init -q ..
