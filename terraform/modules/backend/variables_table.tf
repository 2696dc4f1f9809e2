# Variables for the connections table.

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
