# Changes that would replace what clients use are refused by the plan, unless they are allowed by name.
#
# Each object below is replaced when its value changes, and only then: if this plan makes it, the value was another one
# before. The values themselves may be unknown when the backend is first planned.

locals {
  table_name = coalesce(var.table_name, "${var.name}-connections")

  # What is not in use yet may have any value.
  in_use = terraform_data.in_use.input != plantimestamp()

  replaced = {
    for name, value in terraform_data.value_in_use : name => local.in_use && value.input == plantimestamp()
  }

  refused = {
    for name, replaced in local.replaced : name => replaced && !contains(var.allow_replacement, name)
  }
}

resource "terraform_data" "value_in_use" {
  for_each = {
    name              = var.name
    stage_name        = var.stage_name
    table_kms_key_arn = var.table_kms_key_arn
    table_name        = local.table_name
  }

  input            = plantimestamp()
  triggers_replace = [each.value]

  lifecycle {
    ignore_changes = [input]
  }
}

# It comes last: an apply that stops before it is a first one again.
resource "terraform_data" "in_use" {
  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [terraform_data.value_in_use]
}

resource "terraform_data" "refusals" {
  lifecycle {
    precondition {
      condition     = !local.refused["name"]
      error_message = "name is part of every name: another one replaces the table, the functions and the API, and cuts off every client. To do that in this apply, give allow_replacement = [\"name\", \"table_name\"]; with table_deletion_protection, turn that off in an apply before."
    }

    precondition {
      condition     = !local.refused["stage_name"]
      error_message = "stage_name is part of the URL: another one replaces the stage and cuts off every client, whose rows stay in the table until they expire. To do that in this apply, give allow_replacement = [\"stage_name\"]."
    }

    precondition {
      condition     = !local.refused["table_name"] || local.refused["name"]
      error_message = "table_name cannot change: DynamoDB renames no table, so the table and its rows would go and every client would be in no room. To do that in this apply, give allow_replacement = [\"table_name\"]; with table_deletion_protection, turn that off in an apply before."
    }

    precondition {
      condition     = var.table_kms_key_arn != null || !local.refused["table_kms_key_arn"]
      error_message = "table_kms_key_arn cannot be taken away: the provider would leave the table on its key and say nothing. Give the table another key; or move it by `aws dynamodb update-table --table-name ${local.table_name} --sse-specification Enabled=true,SSEType=KMS` to the account's own key, and give allow_replacement = [\"table_kms_key_arn\"] in the apply after that."
    }
  }
}
