variable "kms_key_arn" {
  type        = string
  description = "KMS key of the table. Null means the account's AWS managed key `aws/dynamodb`."
  default     = null
}

variable "name" {
  type        = string
  description = "Begins the names of everything the example creates."
  default     = "roomcast-theirs"
  nullable    = false
}
