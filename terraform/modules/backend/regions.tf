data "aws_partition" "current" {}

# The provider adds its own tags to those of `tags`.
data "aws_default_tags" "current" {
  lifecycle {
    postcondition {
      condition     = length(distinct([for key in distinct(concat(keys(self.tags), keys(var.tags))) : lower(key)])) == length(distinct(concat(keys(self.tags), keys(var.tags))))
      error_message = "tags and the provider's default_tags must not have keys that differ only in upper and lower case, which IAM takes for the same."
    }

    postcondition {
      condition     = length(distinct(concat(keys(self.tags), keys(var.tags)))) <= 50
      error_message = "tags and the provider's default_tags must be at most 50 tags together, AWS's limit of a resource."
    }
  }
}

# Each ARN must be of the Region in which the backend is made, because the services take nothing of another one. Without
# these conditions, AWS would refuse it half-way through an apply. A secret may be in another Region.
data "aws_region" "current" {
  lifecycle {
    postcondition {
      condition     = var.table_kms_key_arn == null || try(split(":", var.table_kms_key_arn)[3] == self.id, false)
      error_message = "table_kms_key_arn must be a key in the Region ${self.id}, because DynamoDB uses no key of another Region."
    }

    postcondition {
      condition     = var.log_kms_key_arn == null || try(split(":", var.log_kms_key_arn)[3] == self.id, false)
      error_message = "log_kms_key_arn must be a key in the Region ${self.id}, because CloudWatch Logs uses no key of another Region."
    }

    postcondition {
      condition     = var.queue_kms_key_arn == null || try(split(":", var.queue_kms_key_arn)[3] == self.id, false)
      error_message = "queue_kms_key_arn must be a key in the Region ${self.id}, because SQS uses no key of another Region."
    }

    postcondition {
      condition     = var.environment_kms_key_arn == null || try(split(":", var.environment_kms_key_arn)[3] == self.id, false)
      error_message = "environment_kms_key_arn must be a key in the Region ${self.id}, because Lambda uses no key of another Region."
    }

    postcondition {
      condition     = var.authorizer_function_arn == null || try(split(":", var.authorizer_function_arn)[3] == self.id, false)
      error_message = "authorizer_function_arn must be a function in the Region ${self.id}, the Region of the API."
    }

    postcondition {
      condition     = var.existing_table == null || try(split(":", var.existing_table.arn)[3] == self.id, false)
      error_message = "existing_table must be a table in the Region ${self.id}, the Region of the functions."
    }

    postcondition {
      condition     = var.function_defaults.code_signing_config_arn == null || try(split(":", var.function_defaults.code_signing_config_arn)[3] == self.id, false)
      error_message = "function_defaults must have a code_signing_config_arn in the Region ${self.id}, the Region of the functions."
    }

    postcondition {
      condition     = alltrue([for arn in flatten([var.function_defaults.layers, [for function in values(var.functions) : function.layers if function != null]]) : split(":", arn)[3] == self.id])
      error_message = "function_defaults and functions must have layers in the Region ${self.id}, because a function uses none of another Region."
    }

    postcondition {
      condition     = alltrue([for arn in compact(try([var.alarms.page_topic_arn, var.alarms.ticket_topic_arn], [])) : split(":", arn)[3] == self.id])
      error_message = "alarms must have topics in the Region ${self.id}, because CloudWatch notifies none of another Region."
    }

    postcondition {
      condition     = alltrue([for route in values(var.additional_routes) : split(":", route.invoke_arn)[3] == self.id && split(":", route.invoke_arn)[8] == self.id])
      error_message = "additional_routes must each have a function in the Region ${self.id}, the Region of the API."
    }
  }
}

# The provider reads a state's objects in its own Region alone, and functions' roles are global.
resource "terraform_data" "region" {
  input = data.aws_region.current.id

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = self.input == data.aws_region.current.id
      error_message = "The backend ${var.name} is in the Region ${self.input}, and the provider has the Region ${data.aws_region.current.id}, where Terraform finds none of its objects: it would make a second backend that takes the roles of the first. Give the provider the Region ${self.input}, as with AWS_REGION. A backend in another Region needs a state of its own."
    }
  }
}
