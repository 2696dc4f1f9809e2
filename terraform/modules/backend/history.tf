# The log of rooms that keep messages: what functions know of it and may do with it. Without such rooms there is nothing.

locals {
  # Shown even if the caller marks the variable as sensitive, because the plan shows which objects there are.
  keeps_history = nonsensitive(length(var.history_rooms) > 0)

  # The first apply without such rooms keeps table and rights, because functions change one after the other.
  history_exists = nonsensitive(local.keeps_history || local.history_before)

  history_table_arn = local.history_exists ? module.history_table[0].table_arn : null

  history_environment = local.keeps_history ? {
    ROOMCAST_HISTORY_GENERATION        = tostring(var.history_generation)
    ROOMCAST_HISTORY_RETENTION_MINUTES = tostring(var.history_retention_minutes)
    ROOMCAST_HISTORY_ROOMS             = jsonencode(var.history_rooms)
    ROOMCAST_HISTORY_TABLE_NAME        = module.history_table[0].table_name
  } : {}

  # As `use_table_key`, for the table of messages.
  use_history_key = local.history_exists ? jsonencode({
    Sid      = "UseHistoryKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:DescribeKey"]
    Resource = "*"
    Condition = {
      StringEquals         = { "kms:ViaService" = "dynamodb.${split(":", local.history_table_arn)[3]}.${local.dns_suffix}" }
      StringEqualsIfExists = { "kms:EncryptionContext:aws:dynamodb:tableName" = module.history_table[0].table_name }
    }
  }) : ""
}

check "history_is_removed" {
  assert {
    condition     = local.keeps_history || !local.history_exists
    error_message = "history_rooms was emptied: from this apply on, no room keeps messages. Apply again to remove the history table, with all messages."
  }
}

module "history_table" {
  source = "../history-table"
  count  = local.history_exists ? 1 : 0 # history_rooms must be known at plan

  name                = "${var.name}-history"
  deletion_protection = var.table_deletion_protection
  kms_key_arn         = var.table_kms_key_arn
  tags                = var.tags
}
