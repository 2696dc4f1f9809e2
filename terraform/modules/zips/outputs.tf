output "directory" {
  description = "Folder of the zips."
  value       = local.directory
}

output "hashes" {
  description = "Base64 of each zip's SHA-256 by handler: the `source_code_hash` of its function."
  value       = { for handler, zip in local.zips : handler => zip.hash }

  # Where plan and apply run on two machines, a zip that the second one lacks is refused before its function sees it.
  depends_on = [terraform_data.build]
}

output "paths" {
  description = "Path of each zip by handler."
  value       = local.paths
}

output "s3_keys" {
  description = "Keys of the zips in their bucket by handler; empty without a bucket."
  value = merge(
    { for handler, object in aws_s3_object.zip : handler => object.key },
    { for handler, zip in local.zips : handler => join("/", [var.published_handlers.prefix, handler, "${coalesce(zip.sha256, "missing")}.zip"]) if local.is_published },
  )
}

output "version" {
  description = "Version of the release that the zips are of; empty for those of a working tree."
  value       = local.release == null ? "" : local.release
}
