package main

import (
	"bytes"
	"fmt"

	"howett.net/plist"
)

// order is a command as it comes; members are read by the names that Apple gives them.
type order struct {
	CommandUUID string
	Command     map[string]any
}

// answer carries a command out and returns what a phone adds to "Acknowledged", or an error chain.
func (p *phone) answer(command map[string]any) (map[string]any, bool) {
	none := []map[string]any{}
	switch verb, _ := command["RequestType"].(string); verb {
	case "DeviceInformation":
		return map[string]any{"QueryResponses": p.information(texts(command["Queries"]))}, true
	case "SecurityInfo":
		return map[string]any{"SecurityInfo": map[string]any{
			"HardwareEncryptionCaps": 3, "PasscodePresent": true, "PasscodeCompliant": true, "PasscodeCompliantWithProfiles": true,
			"PasscodeLockGracePeriodEnforced": 0,
			"ManagementStatus":                map[string]any{"EnrolledViaDEP": false, "IsUserEnrollment": false},
		}}, true
	case "CertificateList":
		return map[string]any{"CertificateList": []map[string]any{
			{"CommonName": p.certificate.Subject.CommonName, "Data": p.certificate.Raw, "IsIdentity": true},
		}}, true
	case "ProfileList":
		list := none
		for identifier, id := range p.Profiles {
			list = append(list, map[string]any{
				"PayloadIdentifier": identifier, "PayloadUUID": id, "PayloadVersion": 1, "IsManaged": true, "PayloadContent": []any{},
			})
		}
		return map[string]any{"ProfileList": list}, true
	case "ProvisioningProfileList":
		return map[string]any{"ProvisioningProfileList": none}, true
	case "InstalledApplicationList":
		return map[string]any{"InstalledApplicationList": []map[string]any{
			{"Identifier": "com.example.mail", "Version": "12", "ShortVersion": "1.2", "Name": "Mail", "BundleSize": 1 << 20, "Installing": false},
		}}, true
	case "ManagedApplicationList":
		list := map[string]any{}
		for app := range p.Apps {
			list[app] = map[string]any{"Status": "Managed", "ManagementFlags": 1, "HasConfiguration": false, "HasFeedback": false}
		}
		return map[string]any{"ManagedApplicationList": list}, true
	case "ManagedApplicationConfiguration":
		return map[string]any{"ApplicationConfigurations": none}, true
	case "ManagedApplicationAttributes":
		return map[string]any{"ApplicationAttributes": none}, true
	case "ManagedApplicationFeedback":
		return map[string]any{"ManagedApplicationFeedback": none}, true
	case "AvailableOSUpdates":
		return map[string]any{"AvailableOSUpdates": []map[string]any{
			{"ProductKey": "iOSUpdate22E5", "Version": "18.4", "Build": "22E5", "IsCritical": false, "RestartRequired": true, "DownloadSize": 2.5e9},
		}}, true
	case "OSUpdateStatus":
		return map[string]any{"OSUpdateStatus": none}, true
	case "InstallProfile":
		payload, _ := command["Payload"].([]byte)
		var profile struct{ PayloadType, PayloadIdentifier, PayloadUUID string }
		// A signed profile is not XML; this phone takes unsigned ones, as some clients do.
		if _, err := plist.Unmarshal(payload, &profile); err != nil || profile.PayloadType != "Configuration" {
			return chain(1000, "MCProfileErrorDomain"), false
		}
		p.Profiles[profile.PayloadIdentifier] = profile.PayloadUUID
		return nil, true
	case "RemoveProfile":
		identifier, _ := command["Identifier"].(string)
		if _, there := p.Profiles[identifier]; !there {
			return chain(12075, "MCMDMErrorDomain"), false
		}
		delete(p.Profiles, identifier)
		return nil, true
	case "InstallApplication":
		app := fmt.Sprint(command["iTunesStoreID"])
		if name, ok := command["Identifier"].(string); ok {
			app = name
		}
		p.Apps[app] = true
		return map[string]any{"Identifier": app, "State": "Installing"}, true
	case "RemoveApplication":
		app, _ := command["Identifier"].(string)
		delete(p.Apps, app)
		return map[string]any{"Identifier": app}, true
	case "Settings":
		list := none
		settings, _ := command["Settings"].([]any)
		for _, one := range settings {
			setting, _ := one.(map[string]any)
			list = append(list, map[string]any{"Item": setting["Item"], "Status": "Acknowledged"})
		}
		return map[string]any{"Settings": list}, true
	case "ValidateApplications", "DeclarativeManagement", "ClearPasscode", "RestartDevice", "ShutDownDevice", "PlayLostModeSound":
		return nil, true
	case "DeviceLock":
		if _, ok := command["Message"]; ok {
			return map[string]any{"MessageResult": "Success"}, true
		}
		return nil, true
	}
	return chain(12021, "MCMDMErrorDomain"), false
}

func chain(code int, domain string) map[string]any {
	return map[string]any{"ErrorChain": []map[string]any{
		{"ErrorCode": code, "ErrorDomain": domain, "LocalizedDescription": "This did not work"},
	}}
}

func texts(value any) []string {
	list, _ := value.([]any)
	out := []string{}
	for _, one := range list {
		out = append(out, fmt.Sprint(one))
	}
	return out
}

func (p *phone) information(queries []string) map[string]any {
	known := map[string]any{
		"UDID": p.UDID, "SerialNumber": p.serial(), "DeviceName": "Foreign phone", "OSVersion": "18.3", "BuildVersion": "22D5",
		"ModelName": "iPhone", "Model": "MD123", "ProductName": "iPhone15,4", "DeviceCapacity": 128.0, "AvailableDeviceCapacity": 77.25,
		"BatteryLevel": 0.5, "IsSupervised": false,
	}
	answers := map[string]any{}
	for _, query := range queries {
		if value, ok := known[query]; ok {
			answers[query] = value
		}
	}
	return answers
}

// decode reads a command whatever plist form it has.
func decode(said []byte) (order, error) {
	var one order
	err := plist.NewDecoder(bytes.NewReader(said)).Decode(&one)
	return one, err
}
