# An infrastructure in real Terraform: `terraform_data` stands for the cloud's resources, and its
# provisioners do to directories what a provider does to databases and snapshots. An old state, of another
# lineage, lies in the archive; the present one knows the web server only.
set -e
mkdir -p work/infra work/archive && cd work/infra
cat > main.tf <<'T'
variable "size" { default = "small" }
resource "terraform_data" "web" {
  input = var.size
}
resource "terraform_data" "database" {
  input = "/srv/database"
  provisioner "local-exec" {
    when    = destroy
    command = "rm -rf ${self.input}"
  }
}
resource "terraform_data" "snapshots" {
  input = "/srv/snapshots"
  provisioner "local-exec" {
    when    = destroy
    command = "rm -rf ${self.input}"
  }
}
T
export CHECKPOINT_DISABLE=1
terraform init -input=false > /dev/null
terraform apply -input=false -auto-approve > /dev/null
mv terraform.tfstate ../archive/old.tfstate
for size in small medium large; do
    terraform apply -input=false -auto-approve -target=terraform_data.web -var size=$size > /dev/null 2>&1
done
git init -q ..
