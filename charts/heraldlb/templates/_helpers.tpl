{{- define "heraldlb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* 52 characters leave room for the suffixes of objects and the hashes of pods. */}}
{{- define "heraldlb.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "heraldlb.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "heraldlb.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "heraldlb.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "heraldlb.selectorLabels" -}}
app.kubernetes.io/name: {{ include "heraldlb.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "heraldlb.labels" -}}
{{ include "heraldlb.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Of pods: what changes with every version of the chart would restart agents for nothing. */}}
{{- define "heraldlb.podLabels" -}}
{{ include "heraldlb.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Names of what a component owns. */}}
{{- define "heraldlb.controller.name" -}}
{{ include "heraldlb.fullname" . }}-controller
{{- end }}

{{- define "heraldlb.controller.serviceAccount" -}}
{{ .Values.controller.serviceAccount.name | default (include "heraldlb.controller.name" .) }}
{{- end }}

{{- define "heraldlb.agent.name" -}}
{{ include "heraldlb.fullname" . }}-agent
{{- end }}

{{- define "heraldlb.agent.serviceAccount" -}}
{{ .Values.agent.serviceAccount.name | default (include "heraldlb.agent.name" .) }}
{{- end }}

{{- define "heraldlb.membership.secret" -}}
{{ .Values.agent.membership.existingSecret | default (printf "%s-membership" (include "heraldlb.fullname" .)) }}
{{- end }}

{{- /* Settings that both processes read. */}}
{{- define "heraldlb.commonEnv" -}}
- name: HERALD_LOG_LEVEL
  value: {{ .Values.logging.level | quote }}
- name: HERALD_LOG_FORMAT
  value: {{ .Values.logging.format | quote }}
- name: HERALD_METALLB_METRICS
  value: {{ .Values.metrics.metallbNames | quote }}
{{- include "heraldlb.apiServerEnv" . }}
{{- end }}

{{- /* Begins with a new line, unless there is nothing to say. */}}
{{- define "heraldlb.apiServerEnv" }}
{{- if .Values.apiServer.host }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ .Values.apiServer.host | quote }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ .Values.apiServer.port | default 6443 | int | quote }}
{{- end }}
{{- end }}

{{- /* Alive: the process makes progress. Ready: it has seen the cluster. */}}
{{- define "heraldlb.probes" -}}
livenessProbe:
  httpGet:
    path: /livez
    port: metrics
  initialDelaySeconds: 10
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /readyz
    port: metrics
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- /* For containers that need nothing of the node: the restricted Pod Security standard. */}}
{{- define "heraldlb.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "heraldlb.restrictedContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Where pods go that run once: wherever the controller may. */}}
{{- define "heraldlb.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.controller.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.controller.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* What is there for as long as a hook runs. */}}
{{- define "heraldlb.hook" -}}
helm.sh/hook: {{ .hook }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- /* Figures of agents are read by node. */}}
{{- define "heraldlb.nodeLabel" -}}
- action: replace
  sourceLabels: [__meta_kubernetes_pod_node_name]
  targetLabel: node
{{- end }}
