# Variables for the connections table.

variable "existing_table" {
  type        = object({ arn = string })
  description = "Connections table of your own in place of one that this module makes, with the text keys `partition_key` and `sort_key`, and `expires_at` for TTL. The other variables of the table have no effect on it then. On a stage with clients the change is that of `table_name`, which a plan refuses. Whether there is one must be known at plan."
  default     = null

  validation {
    condition     = var.existing_table == null || can(regex("^arn:[a-z0-9-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[a-zA-Z0-9_.-]{3,255}$", var.existing_table.arn))
    error_message = "existing_table must be null or have the arn of a DynamoDB table, like \"arn:aws:dynamodb:eu-central-1:111122223333:table/members\"."
  }
}

variable "point_in_time_recovery" {
  type        = bool
  description = "Whether the connections table can be restored to any second of the last 35 days."
  default     = true
  nullable    = false
}

variable "table_deletion_protection" {
  type        = bool
  description = "Whether DynamoDB refuses to delete the connections table. Turn it off in a separate apply before you destroy the table."
  default     = false
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the connections table; the functions get permission to use it. Null means the account's AWS managed key `aws/dynamodb`."
  default     = null

  validation {
    condition     = var.table_kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.table_kms_key_arn))
    error_message = "table_kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "table_name" {
  type        = string
  description = "Name of the connections table. Null means `<name>-connections`."
  default     = null

  validation {
    condition     = var.table_name == null || can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.table_name))
    error_message = "table_name must be null or a valid DynamoDB table name: 3 to 255 letters, digits, underscores, dots or hyphens."
  }
}
