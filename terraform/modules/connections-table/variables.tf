variable "deletion_protection" {
  type        = bool
  description = "Whether DynamoDB refuses to delete the table. Turn it off in a separate apply before you destroy the table."
  default     = false
  nullable    = false
}

variable "kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the table. Null means the account's AWS managed key `aws/dynamodb`."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "name" {
  type        = string
  description = "Name of the table."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.name))
    error_message = "name must be a valid DynamoDB table name: 3 to 255 letters, digits, underscores, dots or hyphens."
  }
}

variable "point_in_time_recovery" {
  type        = bool
  description = "Whether the table can be restored to any second of the last 35 days."
  default     = true
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of the table."
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 50 && alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags must be at most 50 tags whose keys do not start with \"aws:\", which AWS reserves."
  }
}
