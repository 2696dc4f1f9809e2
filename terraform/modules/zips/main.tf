# The zips of `make build`. A plan ends with a sentence unless every zip exists, matches the manifest and was built from
# the present sources.

locals {
  manifest         = try(jsondecode(file("${var.directory}/manifest.json")), null)
  manifest_format  = try(local.manifest.format, null)
  manifest_entries = { for handler, entry in try(local.manifest.handlers, {}) : handler => entry if local.manifest_format == 1 }

  # A handler with native libraries has a zip for each architecture.
  listed_zips = {
    for handler, entry in local.manifest_entries :
    handler => can(entry.zips) ? try(entry.zips[var.architecture], null) : try({ zip = entry.zip, sha256 = entry.sha256 }, null)
  }
  paths = {
    for handler in var.handlers :
    handler => "${var.directory}/${try(basename(local.listed_zips[handler].zip), "${handler}.zip")}"
  }

  zips = {
    for handler, path in local.paths : handler => {
      path   = path
      sha256 = try(filesha256(path), null)
      hash   = try(filebase64sha256(path), null)
    }
  }

  # Digest of a zip's present sources. A deleted source changes it like an edited one.
  source_digests = {
    for handler, entry in local.manifest_entries : handler => sha256(join("", [
      for path in sort(keys(try(entry.sources, {}))) :
      "${try(filesha256("${var.sources_directory}/${path}"), "missing")}  ${path}\n"
    ]))
  }

  changed_sources = {
    for handler, entry in local.manifest_entries : handler => [
      for path, digest in try(entry.sources, {}) : path
      if try(filesha256("${var.sources_directory}/${path}"), "missing") != digest
    ]
  }

  zip_problems = [
    for handler, zip in local.zips : (
      contains(keys(local.manifest_entries), handler) == false
      ? "${handler} is not in the manifest (a handler whose packages cannot be fetched is left out by the build, which says so)"
      : can(local.manifest_entries[handler].zips) && local.listed_zips[handler] == null
      ? "${handler} has no zip for ${var.architecture}"
      : zip.sha256 == null
      ? "${basename(zip.path)} is missing"
      : zip.sha256 != try(local.listed_zips[handler].sha256, null)
      ? "${basename(zip.path)} is not the one in the manifest"
      : local.source_digests[handler] != try(local.manifest_entries[handler].source_digest, null)
      ? "${basename(zip.path)} was built from other sources (${coalesce(join(", ", local.changed_sources[handler]), "the manifest's digest is another")})"
      : ""
    )
  ]

  problems = (
    local.manifest == null
    ? ["manifest.json is missing or no JSON"]
    : local.manifest_format != 1
    ? ["manifest.json is not of format 1"]
    : compact(local.zip_problems)
  )
}

# A warning only: an absolute path works, but it is part of the state and changes every function on another machine.
check "zips_lie_in_a_relative_folder" {
  assert {
    condition     = var.bucket != null || !can(regex("^(/|~|[A-Za-z]:)", var.directory))
    error_message = "The folder of the zips, ${var.directory}, is an absolute path, so the same zips in another folder, as on a CI machine, change every function. Give a path relative to the root module, like \"$${path.root}/handlers\", or deploy from a bucket."
  }
}

resource "terraform_data" "build" {
  input = { for handler, zip in local.zips : handler => zip.sha256 }

  lifecycle {
    precondition {
      condition     = length(local.problems) == 0
      error_message = "The folder of the zips must hold zips of the present sources, but ${join("; ", local.problems)}; run `make build`. (Zips: ${abspath(var.directory)}; sources: ${abspath(var.sources_directory)}.)"
    }
  }
}

# The key includes the digest, so that functions see a new zip as a new object. The prefix separates two backends in one
# bucket. The old object may be deleted first, because Lambda keeps its own copy.
resource "aws_s3_object" "zip" {
  for_each = nonsensitive(var.bucket == null) ? {} : local.zips # handlers_bucket (a name, not a new bucket's `id`) and the handlers must be known at plan

  bucket       = var.bucket
  content_type = "application/zip"
  key          = "${var.prefix}/${each.key}-${coalesce(each.value.sha256, "missing")}.zip"
  source       = each.value.path

  # S3 objects support only 10 tags, other objects 50. So an object gets no tags, not even the provider's.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}
